"""Cuts what is too long: lines into shares, texts at sentence ends, tables into header and rows. Pure functions."""

import re
from collections.abc import Iterator, Sequence

from tools.preprocess.blocks import Table
from tools.preprocess.structure.text import SENTENCE
from tools.preprocess.tokens import Count

Line = tuple[str, int, int]
"""Text, first and last page."""
_CUTS = (SENTENCE, re.compile(r"[^；;]*(?:[；;]+|$)"), re.compile(r"[^，,、：:\s]*(?:[，,、：:\s]+|$)"))
"""Where a text may be cut, the best places first."""


def in_shares(lines: Sequence[Line], limit: int, count: Count) -> list[list[Line]]:
    """`lines` in as few shares of at most `limit` tokens as can be, all of about the same size.

    Lines stay whole; one that is itself over the limit is cut at its sentence ends.
    """
    whole = [(line, count(line[0])) for line in lines]
    if sum(size for _, size in whole) <= limit:
        return [list(lines)] if lines else []
    fitting = [(piece, count(piece[0])) for line, size in whole for piece in _fit(line, size, limit, count)]
    total = sum(size for _, size in fitting)
    aim = total / -(-total // limit)
    shares: list[list[Line]] = [[]]
    filled = 0
    for line, size in fitting:
        if shares[-1] and (filled + size > limit or filled + size / 2 > aim):
            shares.append([])
            filled = 0
        shares[-1].append(line)
        filled += size
    return shares


def _fit(line: Line, size: int, limit: int, count: Count) -> Iterator[Line]:
    if size <= limit:
        yield line
        return
    for piece in split_text(line[0], limit, count):
        yield piece, line[1], line[2]


def split_text(text: str, limit: int, count: Count) -> list[str]:
    """`text` cut at sentence ends into pieces of at most `limit` tokens; joined they are `text`.

    A sentence that is itself too long is cut at a semicolon, then at a comma, and a clause without one anywhere.
    """
    pieces: list[str] = []
    filled = 0
    for sentence in _short_enough(text, limit, count):
        size = count(sentence)
        if pieces and filled + size <= limit:
            pieces[-1] += sentence
            filled += size
        else:
            pieces.append(sentence)
            filled = size
    return pieces


def _short_enough(text: str, limit: int, count: Count, levels: Sequence[re.Pattern[str]] = _CUTS) -> Iterator[str]:
    """Sentences, and what is still too long in clauses, at last in runs of characters."""
    if not levels:
        yield from (text[at : at + max(limit // 2, 1)] for at in range(0, len(text), max(limit // 2, 1)))
        return
    for piece in filter(None, levels[0].findall(text)):
        if count(piece) <= limit:
            yield piece
        else:
            yield from _short_enough(piece, limit, count, levels[1:])


def table_lines(table: Table) -> tuple[list[str], list[str]]:
    """The header's lines and the rows' lines, cells between bars; remarks come last."""
    lines = [_row(row) for row in table.rows]
    headers = min(table.headers, len(lines) - 1) if len(lines) > 1 else 0
    return lines[:headers], [*lines[headers:], *table.remarks]


def _row(cells: Sequence[str]) -> str:
    filled = [cell for cell in cells if cell]
    return filled[0] if len(filled) == 1 else " | ".join(cells)
