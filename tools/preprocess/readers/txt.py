"""Plain text in any Chinese encoding -> Source."""

import re
from collections import Counter
from collections.abc import Iterator, Sequence

from tools.preprocess.blocks import Block, Dropped, Paragraph, Source
from tools.preprocess.errors import NoText
from tools.preprocess.readers.encoded import decode_named
from tools.preprocess.readers.lines import Line, column_edges, placed, to_blocks, wide_length
from tools.preprocess.readers.pdf_furniture import PAGE_NUMBER
from tools.preprocess.structure.text import squeeze, tidy

_FULL_SHARE = 0.4
"""Share of all long lines that end at the same width when a text is wrapped."""
_WIDTHS = (40, 130)
"""Half characters of a wrapped line."""
_REPEATED = 3
_LONGEST_HEAD = 40
_DASHED = re.compile(
    r"[-—–－]\s*\d{1,4}\s*[-—–－]|第\s*\d{1,4}\s*页(?:\s*[,，/／]?\s*共\s*\d{1,4}\s*页)?|\d{1,4}\s*/\s*\d{1,4}"
)


def read(data: bytes) -> Source:
    """A text file; form feeds part its pages.

    Raises:
        UnreadableFile, NoText
    """
    text, encoding = decode_named(data)
    pages = text.split("\f")
    kept, dropped = _without_furniture([page.split("\n") for page in pages])
    blocks = list(_wrapped(kept) if is_wrapped([line for lines in kept for line in lines]) else _plain(kept))
    if not blocks:
        raise NoText("文件里没有文字", "The file holds no text")
    return Source("txt", tuple(blocks), len(pages), encoding, dropped=tuple(dropped))


def is_wrapped(lines: Sequence[str]) -> bool:
    """Whether lines were cut at a width, so that a paragraph is several of them."""
    widths = [wide_length(line.rstrip()) for line in lines if line.strip()]
    if len(widths) < 4:
        return False
    widest = sorted(widths)[-max(1, len(widths) // 20)]
    if not _WIDTHS[0] <= widest <= _WIDTHS[1] or max(widths) > widest + 6:
        return False
    long = [width for width in widths if width > widest / 2]
    return sum(width >= widest - 3 for width in long) >= _FULL_SHARE * len(long) and len(long) >= 3


def _plain(pages: Sequence[Sequence[str]]) -> Iterator[Block]:
    for number, lines in enumerate(pages, 1):
        for line in lines:
            if text := tidy(line):
                yield Paragraph(text, number, centred=_is_centred(line))


def _is_centred(line: str) -> bool:
    """Whether it is pushed in by more than a paragraph is."""
    blank = line[: len(line) - len(line.lstrip())].expandtabs(4)
    return wide_length(blank) > 8


def _wrapped(pages: Sequence[Sequence[str]]) -> list[Block]:
    """As lines on a page of half characters."""
    lines = []
    for number, page in enumerate(pages, 1):
        for top, line in enumerate(page, 1):
            if line.strip():
                indent = wide_length(line[: len(line) - len(line.lstrip())].expandtabs(4))
                end = indent + wide_length(line.strip())
                lines.append(Line(line.strip(), indent, end, top, top + 1, 2.0, number))
    left, right = column_edges(lines)
    return to_blocks([placed(line, left, right) for line in lines], 2.0)


def _without_furniture(pages: Sequence[Sequence[str]]) -> tuple[list[list[str]], list[Dropped]]:
    """Page numbers, and the lines beside them or at a page's ends that come again and again."""
    ends: Counter[str] = Counter()
    for lines in pages:
        ends.update(squeeze(line) for line in {id(line): line for line in _edge_lines(lines)}.values())
    kept: list[list[str]] = []
    dropped: list[Dropped] = []
    for number, lines in enumerate(pages, 1):
        kept.append([])
        edge = {id(line) for line in _edge_lines(lines)}
        for line in lines:
            text = line.strip()
            if _DASHED.fullmatch(text) or (len(pages) > 1 and id(line) in edge and PAGE_NUMBER.fullmatch(text)):
                dropped.append(Dropped("page number", text, number))
            elif id(line) in edge and 0 < len(text) <= _LONGEST_HEAD and ends[squeeze(line)] >= _REPEATED:
                dropped.append(Dropped("header", text, number))
            else:
                kept[-1].append(line)
    return kept, dropped


def _edge_lines(lines: Sequence[str]) -> list[str]:
    """The two outermost lines of a page at either end, and those beside page numbers inside of it."""
    filled = [line for line in lines if line.strip()]
    edge = filled[:2] + filled[-2:]
    for at, line in enumerate(filled):
        if _DASHED.fullmatch(line.strip()):
            edge += filled[max(at - 1, 0) : at + 2]
    return edge
