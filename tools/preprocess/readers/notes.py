"""Footnotes: a reader marks where one is referred to; here the note's text is put behind that sentence."""

import re
from collections.abc import Mapping

_OPEN, _CLOSE = "\ue000", "\ue001"
"""From the private use area, so that no text holds them."""
_MARK = re.compile(f"{_OPEN}([^{_CLOSE}]*){_CLOSE}")
_SENTENCE_END = re.compile(r"[。！？!?；;][”’」』）)》]*")


def mark(name: str) -> str:
    """What a reader puts into the text where note `name` is referred to."""
    return f"{_OPEN}{name}{_CLOSE}"


def attach(text: str, notes: Mapping[str, str]) -> str:
    """`text` without marks, each note behind the sentence that refers to it: …收入。（注：…）"""
    for found in reversed(list(_MARK.finditer(text))):
        note = notes.get(found[1], "").strip()
        before, after = text[: found.start()], text[found.end() :]
        if note:
            # The mark of a sentence may stand before its full stop or behind it.
            ended = bool(re.search(r"[。！？!?；;][”’」』）)》]*$", before))
            end = None if ended else _SENTENCE_END.search(after)
            at = 0 if ended else end.end() if end else len(after)
            after = f"{after[:at]}（注：{note}）{after[at:]}"
        text = before + after
    return text


def used(text: str) -> set[str]:
    """The names of the notes that `text` refers to."""
    return set(_MARK.findall(text))
