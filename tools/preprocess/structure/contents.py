"""Leaves tables of contents out."""

import re
from collections import Counter
from collections.abc import Sequence

from tools.preprocess.blocks import Block, Dropped, Paragraph
from tools.preprocess.structure import marks
from tools.preprocess.structure.text import ends_sentence, squeeze

_TITLES = {"目录", "目次", "contents", "tableofcontents"}
_LEADER = re.compile(
    r"(.{1,80}?)[\s\u3000]*(?:[.．·・‥_\-—]{3,}|…+)[\s\u3000]*[（(]?\s*(?:\d{1,4}|[ivxlc]{1,6})\s*[)）]?", re.IGNORECASE
)
_DOTS = re.compile(r"[.．·・‥_\-—]{3}|…")
_PAGE = re.compile(r"(.{1,80}?)[\s\u3000]+[（(]?(?:\d{1,4}|[ivxlc]{1,6})[)）]?", re.IGNORECASE)
_LONGEST = 80
_LEAST_RUN = 3
"""Lines with leaders that make a table of contents without a title."""


def drop_contents(blocks: Sequence[Block]) -> tuple[list[Block], list[Dropped]]:
    """The blocks without tables of contents, and the lines of these."""
    kept: list[Block] = []
    dropped: list[Dropped] = []
    to_come = Counter(squeeze(block.text) for block in blocks if isinstance(block, Paragraph))
    at = 0
    while at < len(blocks):
        block = blocks[at]
        end = _end(blocks, at, to_come)
        for gone in blocks[at : max(end, at + 1)]:
            if isinstance(gone, Paragraph):
                to_come[squeeze(gone.text)] -= 1
                if end > at:
                    dropped.append(Dropped("contents", gone.text, gone.page))
        if end == at:
            kept.append(block)
        at = max(end, at + 1)
    return kept, dropped


def is_leader(line: str) -> bool:
    """Whether it is a heading, dots, and a page number."""
    return bool(_DOTS.search(line) and _LEADER.fullmatch(line))


def _end(blocks: Sequence[Block], start: int, to_come: Counter[str]) -> int:
    """The end of the table of contents that begins at `start`; `start` when none does."""
    first = blocks[start]
    if not isinstance(first, Paragraph):
        return start
    titled = squeeze(first.text).lower().strip("：:") in _TITLES
    at = start + 1 if titled else start
    seen: Counter[str] = Counter()
    while at < len(blocks) and (isinstance(block := blocks[at], Paragraph)):
        if not (is_leader(block.text) or (titled and _is_entry(block.text, to_come, seen))):
            break
        seen[squeeze(block.text)] += 1
        at += 1
    least = 1 if titled else _LEAST_RUN
    return at if at - start - titled >= least else start


def _is_entry(text: str, to_come: Counter[str], seen: Counter[str]) -> bool:
    """Whether a line under the title 目录 belongs to it: it comes again as a heading, or ends in a page number."""
    if len(text) > _LONGEST or ends_sentence(text):
        return False
    same = squeeze(text)
    if to_come[same] - seen[same] > 1:
        return True
    paged = _PAGE.fullmatch(text)
    if not paged:
        return False
    heading = paged[1]
    return to_come[squeeze(heading)] > 0 or bool(
        marks.division(heading) or marks.item(heading) or marks.attachment(heading)
    )
