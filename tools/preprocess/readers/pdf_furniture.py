"""What is printed on every page and belongs to none: running heads and feet, page numbers, watermarks."""

import re
from collections import Counter, defaultdict
from collections.abc import Iterator, Mapping, Sequence
from statistics import median

from tools.preprocess.blocks import Dropped
from tools.preprocess.readers.lines import Line
from tools.preprocess.structure import marks
from tools.preprocess.structure.text import squeeze

MARGIN = 0.15
"""Share of the page's height, at the top and at the bottom, in which heads and feet stand."""
_OUTERMOST = 0.075
_NUMBER_MARGIN = 0.12
_SMALL = 0.92
_SAME_PLACE = 6.0
"""Points."""

_SENTENCE_ENDS = ("。", "；", "，", "、")
"""No running head ends so."""
_EDGE_NUMBER = re.compile(r"^[\s\d·•\-—–－~/|第共页]+|[\s\d·•\-—–－~/|第共页]+$")
PAGE_NUMBER = re.compile(
    r"[-—–－~·•.\s\[(（]*(?:第\s*)?(?:\d{1,4}|[ivxlcIVXLC]{1,6}|[一二三四五六七八九十百]{1,5}(?=\s*页))\s*(?:页)?"
    r"(?:\s*[,，/／|]?\s*(?:共|of)?\s*\d{1,4}\s*(?:页)?)?[-—–－~·•.\s\])）]*|page\s*\d+(?:\s*of\s*\d+)?",
    re.IGNORECASE,
)


def find_furniture(pages: Sequence[tuple[float, Sequence[Line]]], body_size: float) -> dict[Line, Dropped]:
    """The lines that are no part of the text. Each page: its height and its lines."""
    found: dict[Line, Dropped] = {}
    for kind, line in (*_numbers(pages), *_repeated(pages), *_lone(pages, body_size)):
        found.setdefault(line, Dropped(kind, line.text.strip(), line.page))
    return found


def _numbers(pages: Sequence[tuple[float, Sequence[Line]]]) -> Iterator[tuple[str, Line]]:
    for height, lines in pages:
        for line in lines:
            outside = line.bottom < _NUMBER_MARGIN * height or line.top > (1 - _NUMBER_MARGIN) * height
            if outside and PAGE_NUMBER.fullmatch(line.text.strip()) and _is_outermost(line, lines):
                yield "page number", line


def _is_outermost(line: Line, lines: Sequence[Line]) -> bool:
    """Whether it has nothing but one more line between it and the page's edge."""
    above = sum(other.bottom <= line.top for other in lines)
    below = sum(other.top >= line.bottom for other in lines)
    return min(above, below) <= 1


def _repeated(pages: Sequence[tuple[float, Sequence[Line]]]) -> Iterator[tuple[str, Line]]:
    """Lines that stand at the same place of several pages."""
    places: defaultdict[str, list[tuple[float, Line]]] = defaultdict(list)
    for height, lines in pages:
        for line in lines:
            if line.text.endswith(_SENTENCE_ENDS):
                continue
            outside = line.bottom < MARGIN * height or line.top > (1 - MARGIN) * height
            places[_without_number(line.text) if outside else line.text].append((height, line))
    for text, lines_of_text in places.items():
        if len(lines_of_text) < 2 or not text or marks.attachment(text.replace("#", "1")):
            continue
        for group in _same_place([line for _, line in lines_of_text]):
            seen = len({line.page for line in group})
            height = lines_of_text[0][0]
            at = median((line.top + line.bottom) / 2 for line in group) / height
            if MARGIN < at < 1 - MARGIN:
                same_x = max(line.x0 for line in group) - min(line.x0 for line in group) <= _SAME_PLACE
                if seen >= 3 and seen >= 0.5 * len(pages) and same_x:
                    yield from (("watermark", line) for line in group)
            elif seen >= 3 or (seen == 2 and len(pages) <= 5):
                kind = "header" if at <= MARGIN else "footer"
                yield from ((kind, line) for line in group)


def _same_place(lines: Sequence[Line]) -> Iterator[list[Line]]:
    group: list[Line] = []
    for line in sorted(lines, key=lambda one: one.top):
        if group and line.top - group[-1].top > _SAME_PLACE:
            yield group
            group = []
        group.append(line)
    yield group


def _lone(pages: Sequence[tuple[float, Sequence[Line]]], body_size: float) -> Iterator[tuple[str, Line]]:
    """Small lines outside of the text area that stand on one page only."""
    for height, lines in pages if len(pages) > 1 else ():
        for line in lines:
            if line.size < _SMALL * body_size and _is_outermost(line, lines):
                if line.bottom < _OUTERMOST * height:
                    yield "header", line
                elif line.top > (1 - _OUTERMOST) * height:
                    yield "footer", line


def _without_number(text: str) -> str:
    return squeeze(_EDGE_NUMBER.sub("#", text.strip()))


def usual_size(sizes: Mapping[float, int]) -> float:
    """The font size that most characters have."""
    return Counter(sizes).most_common(1)[0][0] if sizes else 1.0
