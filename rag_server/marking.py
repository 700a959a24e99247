"""The answer sentence by sentence, while it is being written: each is checked as soon as it ends, and marked.

A sentence is never changed. Behind one that is not verified stands its reason, `（未核实：…）`, behind one that lacked
its mark the mark.
"""

import re
from collections.abc import Callable, Iterator
from dataclasses import replace
from typing import NamedTuple

from rag_server.events import Delta, SentenceChecked
from rag_server.turn import CheckedSentence, Message
from service_kit.words import Lang, Words

_UNFINISHED = Words("未核实：句子没有写完", "not verified: the sentence was not finished")
_MARK: dict[Lang, str] = {"zh": "（{}）", "en": " ({})"}
_ANY_MARK = re.compile(r"（未核实：[^）]*）| \(not verified: [^)]*\)")
_PARENTHESES = {"zh": str.maketrans("（）", "()"), "en": str.maketrans("()", "[]")}
_HALF_A_MARK = re.compile(r"\s*[\[【［〔(（]?[\s\d,，、]*$")
"""What may yet become a mark of the sentence before it."""

_ENDS = "。！？!?.…」』”]】"
"""Last characters of a sentence that was not cut off."""


def without_our_marks(message: Message) -> Message:
    """A past answer as the model wrote it, so that it does not learn to write our marks."""
    text = _ANY_MARK.sub("", message.content)
    return message if text == message.content else replace(message, content=text)


class Rules(NamedTuple):
    """How the answer is cut and how a sentence is checked."""

    split: Callable[[str], tuple[str, ...]]
    check: Callable[[str], CheckedSentence]
    lang: Lang


class Marking:
    """Takes the model's pieces, gives the pieces to show. `text` and `sentences` hold what was given so far."""

    def __init__(self, rules: Rules) -> None:
        self._rules = rules
        self._written = ""
        """Of the model's text, what is not checked yet."""
        self._sent = 0
        """How much of it has been shown."""
        self._gap = ""
        """White space behind the last sentence: shown with what follows."""
        self.text = ""
        self.sentences: tuple[CheckedSentence, ...] = ()

    def feed(self, piece: str) -> Iterator[Delta | SentenceChecked]:
        """What a further piece of the model's text gives."""
        self._written = (self._written + piece) if self._written else piece.lstrip()
        *ended, last = self._rules.split(self._written) or ("",)
        # The last one may go on; the one before it, too, while what follows may be its mark.
        while ended and not (len(ended) == 1 and _HALF_A_MARK.fullmatch(last)):
            yield from self._close(ended.pop(0))
        # White space waits: at the end of a sentence its mark comes first, at the end of the answer it is nothing.
        yield from self._show(len((ended[0] if ended else self._written).rstrip()))

    def end(self, *, unfinished: bool) -> Iterator[Delta | SentenceChecked]:
        """What the end of the model's text gives; `unfinished` when its last sentence may have been cut off."""
        *ended, last = self._rules.split(self._written.rstrip()) or ("",)
        for sentence in ended:
            yield from self._close(sentence)
        if last:
            yield from self._close(last, is_cut=unfinished and last[-1] not in _ENDS)

    def _close(self, sentence: str, *, is_cut: bool = False) -> Iterator[Delta | SentenceChecked]:
        """Check the sentence with which the unchecked text begins."""
        text, lang = sentence.strip(), self._rules.lang
        yield from self._show(len(sentence.rstrip()))
        if text:
            checked = self._rules.check(text)
            if is_cut:
                checked = replace(checked, verified=False, added=False, reason=_UNFINISHED.to(lang))
            self.sentences += (checked,)
            yield SentenceChecked(checked)
            mark = "".join(f"[{n}]" for n in checked.cites) if checked.added else ""
            if not checked.verified:
                mark += _MARK[lang].format((checked.reason or "").translate(_PARENTHESES[lang]))
            if mark:
                self.text += mark
                yield Delta(mark)
        self._gap += sentence[len(sentence.rstrip()) :]
        self._written, self._sent = self._written[len(sentence) :], max(0, self._sent - len(sentence))

    def _show(self, end: int) -> Iterator[Delta]:
        if end > self._sent:
            new = self._gap + self._written[self._sent : end]
            self.text += new
            self._gap, self._sent = "", end
            yield Delta(new)
