"""The reading order of pages: pieces of lines -> lines, column by column."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from statistics import median

from tools.preprocess.readers.lines import Line

_LEAST_LINES = 5
"""In a column of a page with two."""
_MIDDLE = (0.3, 0.7)
"""Share of the text's width in which the gap between two columns lies."""
_MOST_CROSSING = 0.25
_LEAST_WIDTH = 0.5
"""Of the usual line of a column, as a share of the column's width."""
_LEAST_FULL = 0.6
"""Share of the left column's lines that reach its edge, where the right one has too few lines to tell."""


@dataclass(frozen=True)
class Ordered:
    """A line in reading order and the column it stands in: 0 over the whole width, 1 left, 2 right."""

    line: Line
    column: int


def in_order(pages: Mapping[int, Sequence[Line]], whole: frozenset[Line]) -> dict[int, list[Ordered]]:
    """The lines of each page from first to last. Pieces of one line that no column parts become one line again.

    `whole`: tables, which take part as one piece each and are never joined with anything. A document that has two
    columns has them on its last page too, which may be half empty: the gap of the others is tried there.
    """
    gaps = {number: gap for number, pieces in pages.items() if (gap := _gap(pieces))}
    usual = median(gaps.values()) if gaps else None
    return {
        number: _ordered(pieces, gaps.get(number) or (usual if usual and _fits(pieces, usual) else None), whole)
        for number, pieces in pages.items()
    }


def _ordered(pieces: Sequence[Line], gap: float | None, whole: frozenset[Line]) -> list[Ordered]:
    if gap is None:
        return [Ordered(line, 0) for line in _rows(pieces, whole)]
    left = _rows([piece for piece in pieces if piece.x1 <= gap + piece.size / 2], whole)
    right = _rows([piece for piece in pieces if piece.x0 >= gap - piece.size / 2], whole)
    across = _rows([p for p in pieces if p.x1 > gap + p.size / 2 and p.x0 < gap - p.size / 2], whole)
    ordered: list[Ordered] = []
    above = float("-inf")
    for end in [*across, None]:
        below = end.top if end else float("inf")
        for column, lines in ((1, left), (2, right)):
            ordered += [Ordered(line, column) for line in lines if above <= line.top < below]
        if end:
            ordered.append(Ordered(end, 0))
        above = below
    return ordered


def _gap(pieces: Sequence[Line]) -> float | None:
    """The middle of the gap between two columns; None on a page with one."""
    if not pieces:
        return None
    x0, x1 = min(p.x0 for p in pieces), max(p.x1 for p in pieces)
    width = x1 - x0
    best: tuple[int, float] | None = None
    for edge in sorted({p.x1 for p in pieces}):
        if not _MIDDLE[0] * width <= edge - x0 <= _MIDDLE[1] * width:
            continue
        middle = edge + pieces[0].size / 2
        crossing = sum(p.x0 < middle < p.x1 for p in pieces)
        if best is None or crossing < best[0]:
            best = crossing, middle
    if best is None:
        return None
    _, middle = best
    left = [p for p in pieces if p.x1 <= middle]
    right = [p for p in pieces if p.x0 >= middle]
    if len(left) < _LEAST_LINES or not right or not _fits(pieces, middle):
        return None
    if len(right) < _LEAST_LINES:
        edge = max(p.x1 for p in left)
        full = sum(edge - p.x1 <= 1.5 * p.size for p in left)
        return middle if full >= _LEAST_FULL * len(left) and edge - x0 > _LEAST_WIDTH * width / 2 else None
    if min(_usual_width(left), _usual_width(right)) < _LEAST_WIDTH * width / 2:
        return None
    return middle


def _fits(pieces: Sequence[Line], gap: float) -> bool:
    """Whether few lines go across that gap."""
    return sum(p.x0 < gap < p.x1 for p in pieces) <= _MOST_CROSSING * len(pieces)


def _usual_width(lines: Sequence[Line]) -> float:
    widths = sorted(line.x1 - line.x0 for line in lines)
    return widths[len(widths) // 2]


def _rows(pieces: Sequence[Line], whole: frozenset[Line]) -> list[Line]:
    """From top to bottom; pieces on one base line become one line, its parts in `cells`."""
    rows: list[list[Line]] = []
    for piece in sorted((p for p in pieces if p not in whole), key=lambda p: (p.bottom, p.x0)):
        if rows and _same_row(rows[-1][-1], piece):
            rows[-1].append(piece)
        else:
            rows.append([piece])
    lines = [*map(_joined, rows), *(piece for piece in pieces if piece in whole)]
    return sorted(lines, key=lambda line: line.top) if len(lines) > len(rows) else lines


def _same_row(one: Line, other: Line) -> bool:
    overlap = min(one.bottom, other.bottom) - max(one.top, other.top)
    apart = other.x0 >= one.x1 - 0.2 * one.size or one.x0 >= other.x1 - 0.2 * one.size
    return apart and overlap > 0.6 * min(one.bottom - one.top, other.bottom - other.top)


def _joined(row: Sequence[Line]) -> Line:
    if len(row) == 1:
        return row[0]
    row = sorted(row, key=lambda p: p.x0)
    texts = tuple(p.text.strip() for p in row)
    cells = () if all(len(text) == 1 for text in texts) else texts
    first = row[0]
    return replace(
        first, text=" ".join(texts), x1=max(p.x1 for p in row), top=min(p.top for p in row),
        bottom=max(p.bottom for p in row), cells=cells,
    )  # fmt: skip
