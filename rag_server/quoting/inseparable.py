"""What may not be quoted apart: an item of a list from its introduction, a rule from its proviso. Pure functions.

下列情形除外：（一）…；（二）… — item （二） alone would say the opposite of what the passage says.
"""

import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from rag_server.sentences import Sentence
from service_kit.numerals import to_int

_HAN = "一二三四五六七八九十"
_MARKS: Mapping[str, re.Pattern[str]] = {
    style: re.compile(mark)
    for style, mark in {
        "(一)": rf"\s*[（(]([{_HAN}]+)[）)]",
        "(1)": r"\s*[（(](\d{1,2})[）)]",
        "一、": rf"\s*([{_HAN}]+)、",
        "一是": rf"\s*([{_HAN}]+)是",
        "第一，": rf"\s*第([{_HAN}]+)[，,、]",
        "1.": r"\s*(\d{1,2})(?:[.．](?!\d)|[、)）])",
        "①": r"\s*([①-⑳])",
    }.items()
}
_MARKED = re.compile("|".join(mark.pattern for mark in _MARKS.values()))
_COLON = re.compile("[：:]")
_LISTED = ("；", ";")
_ARTICLE = re.compile(rf"第[{_HAN}百千零〇\d]+条")
_PROVISO = re.compile(
    r"但(?:是)?[，,]?.*(?:除外|另有(?:规定|约定)|不受|不适用|不在此限)|[^（(\d]{0,12}另有(?:规定|约定)的.{0,6}(?:从其|除外)"
)


@dataclass(frozen=True)
class Listing:
    """A list in a passage, by the places of its sentences."""

    start: int
    """Where the words begin that introduce it: …处罚款；情节严重的，吊销许可证：（一）…"""
    lead: int
    """Where they end; the first item may stand in there, too."""
    end: int
    """Its last sentence."""


def listings(sentences: Sequence[Sentence]) -> tuple[Listing, ...]:
    """The lists of a passage, each before those inside of it.

    >>> from rag_server.sentences import cut_sentences
    >>> listings(cut_sentences("可以买：（一）甲；（二）乙。其他不行。"))
    (Listing(start=0, lead=0, end=1),)
    """
    texts = [sentence.text for sentence in sentences]
    found: list[Listing] = []
    # From the last on: a list may end with one that its last item introduces.
    for lead in reversed(range(len(texts))):
        end = _end_of_list(texts, lead)
        if end is not None:
            end = max([end, *(inner.end for inner in found if inner.lead <= end)])
            found.append(Listing(_start(texts, lead), lead, end))
    return tuple(reversed(found))


def with_what_belongs(chosen: int, sentences: Sequence[Sentence], *, whole_list: bool) -> tuple[range, ...]:
    """The places of the sentences to quote with `chosen`, in reading order.

    What introduces a list takes all of it along; an item what introduces it, or all of the list if `whole_list`; a rule
    the proviso behind it.
    """
    found = listings(sentences)
    around = [one for one in found if one.start <= chosen <= one.end]
    whole = next((one for one in around if one.lead >= chosen or whole_list), None)
    taken = [range(whole.start, whole.end + 1) if whole else range(chosen, chosen + 1)]
    behind = taken[0].stop
    taken += [range(one.start, one.lead + 1) for one in around if one.start not in taken[0]]
    if behind < len(sentences) and _PROVISO.match(sentences[behind].text):
        ends = [one.end for one in found if one.start == behind]
        taken.append(range(behind, max(ends, default=behind) + 1))
    return tuple(sorted(taken, key=lambda places: places.start))


def _start(texts: Sequence[str], lead: int) -> int:
    """The first of the clauses, parted by semicolons, of the sentence that ends with `lead`."""
    while (
        lead
        and texts[lead - 1].endswith(_LISTED)
        and not any(_MARKED.match(text) for text in texts[lead - 1 : lead + 1])
    ):
        lead -= 1
    return lead


def _end_of_list(texts: Sequence[str], lead: int) -> int | None:
    """Where the list ends that sentence `lead` introduces; None when it introduces none."""
    for colon in _COLON.finditer(texts[lead]):
        behind = texts[lead][colon.end() :]
        at, first = (lead, behind) if behind.strip() else (lead + 1, texts[lead + 1] if lead + 1 < len(texts) else "")
        if style := _style(first):
            return _last_item(texts, at, style)
        if at > lead and first.endswith(_LISTED):
            rest = range(at, len(texts))
            return next((i for i in rest if not texts[i].endswith(_LISTED)), len(texts) - 1)
    return None


def _style(text: str) -> str | None:
    """How the items of a list are numbered whose first item begins `text`."""
    return next((style for style in _MARKS if _ordinal(text, style) == 1), None)


def _last_item(texts: Sequence[str], first: int, style: str) -> int:
    """Place of the last item of the list, which counts on from the first; what stands between two belongs to it."""
    last, count = first, 1
    for i in range(first + 1, len(texts)):
        if _ARTICLE.match(texts[i]):
            break
        if _ordinal(texts[i], style) == count + 1:
            last, count = i, count + 1
    return last


def _ordinal(text: str, style: str) -> int | None:
    mark = _MARKS[style].match(text)
    return to_int(mark[1]) if mark else None
