"""Citation marks, and the sentences of an answer that they belong to."""

import re
from collections.abc import Iterator
from typing import NamedTuple

_NUMBERS = r"\d{1,2}(?:\s*[,，、;；\-–~～至]\s*\d{1,2})*"
_NAMES = r"(?:参考资料|参考文献|参考|材料|资料|文献|依据|来源|\^)?\s*"
_MARK = re.compile(rf"\[\s*{_NAMES}({_NUMBERS})\s*\]|［\s*{_NAMES}({_NUMBERS})\s*］|【\s*{_NAMES}({_NUMBERS})\s*】")
_MARKS = rf"(?:\s*(?:{_MARK.pattern}))+"
_CLOSING = r"[”’」』）)》\"']*"
_END = re.compile(
    rf"(?:[。！？!?…]+{_CLOSING}|(?<=[A-Za-z0-9)\]])\.(?=\s|\[|$){_CLOSING})(?:{_MARKS}[。.]?)?[ \t]*\n*|[ \t]*\n\s*"
)
_ABBREVIATION = re.compile(
    r"(?:\b(?:No|Art|Arts|Mr|Mrs|Dr|vs|etc|e\.g|i\.e|Inc|Ltd|St|cf|Sec|para)|(?:^|[\n。；;\]])\s*\d{1,2})\.\s*$"
)


class Cited(NamedTuple):
    """A piece of a sentence without its marks, and the passages that these name."""

    text: str
    cites: tuple[int, ...]


def split_sentences(text: str) -> tuple[str, ...]:
    """The sentences of an answer; joined they are `text`. Marks behind the full stop belong to the sentence before.

    >>> split_sentences("可以。[1]不得！")
    ('可以。[1]', '不得！')
    """
    ends = [m.end() for m in _END.finditer(text) if not _ABBREVIATION.search(text[max(0, m.start() - 8) : m.end()])]
    pieces = [text[a:b] for a, b in zip([0, *ends], [*ends, len(text)], strict=True)]
    sentences: list[str] = []
    for piece in pieces:
        if sentences and not (_says_something(piece) and _says_something(sentences[-1])):
            sentences[-1] += piece
        elif piece:
            sentences.append(piece)
    return tuple(sentences)


def cited_pieces(sentence: str) -> list[Cited]:
    """The sentence cut behind its marks. What follows the last mark shares it; a leading mark is for what follows.

    >>> cited_pieces("甲可以[1]，乙不得[2]。")
    [Cited(text='甲可以', cites=(1,)), Cited(text='，乙不得。', cites=(2,))]
    """
    pieces: list[Cited] = []
    at, leading = 0, tuple[int, ...]()
    for match in re.finditer(_MARKS, sentence):
        text, cites = sentence[at : match.start()], tuple(_numbers(match.group()))
        at = match.end()
        if _says_something(text):
            pieces.append(Cited(text, _union(leading, cites)))
            leading = ()
        else:
            leading = _union(leading, cites)
    rest = sentence[at:]
    if not pieces:
        return [Cited(rest, leading)]
    last = pieces[-1]
    if leading and _says_something(rest):
        pieces.append(Cited(rest, leading))
    else:
        pieces[-1] = Cited(last.text + rest, _union(last.cites, leading))
    return pieces


def without_marks(sentence: str) -> str:
    """The sentence as it reads without its citation marks."""
    return _MARK.sub("", sentence)


def _says_something(text: str) -> bool:
    return any(map(str.isalnum, _MARK.sub("", text)))


def _numbers(marks: str) -> Iterator[int]:
    for match in _MARK.finditer(marks):
        listed = next(group for group in match.groups() if group)
        for part in re.split(r"\s*[,，、;；]\s*", listed):
            first, *last = (int(n) for n in re.findall(r"\d+", part))
            yield from range(first, (last[0] if last else first) + 1)


def _union(some: tuple[int, ...], more: tuple[int, ...]) -> tuple[int, ...]:
    return tuple(dict.fromkeys((*some, *more)))
