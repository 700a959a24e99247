"""Tables with rules: the grid that the rules of a page draw, and the text in its cells."""

from bisect import bisect_right
from collections import defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from tools.preprocess.blocks import Table
from tools.preprocess.readers.pdf_page import PageReader, PlacedLine, Rule
from tools.preprocess.structure.text import join_lines, tidy

_NEAR = 3.0
"""Points within which two rules meet, or are the same."""
_MOST_RULES = 3000


@dataclass(frozen=True)
class Grid:
    """Where the columns and rows are, and which neighbouring cells no rule parts."""

    xs: tuple[float, ...]
    ys: tuple[float, ...]
    cell_of: dict[tuple[int, int], tuple[int, int]]
    """(row, column) -> the top left one of the cells it is merged with."""

    def holds(self, x: float, y: float) -> bool:
        return self.xs[0] <= x <= self.xs[-1] and self.ys[0] <= y <= self.ys[-1]

    def at(self, x: float, y: float) -> tuple[int, int]:
        row = min(max(bisect_right(self.ys, y) - 1, 0), len(self.ys) - 2)
        column = min(max(bisect_right(self.xs, x) - 1, 0), len(self.xs) - 2)
        return self.cell_of[row, column]


def find_grids(rules: Sequence[Rule]) -> list[Grid]:
    """The grids of two or more columns, from the top of the page."""
    if len(rules) > _MOST_RULES:
        return []
    grids = (_grid(group) for group in _connected(rules))
    return sorted((grid for grid in grids if grid), key=lambda grid: grid.ys[0])


def fill(grid: Grid, lines: Iterable[PlacedLine], page: PageReader, number: int) -> Table | None:
    """The table that the characters of `lines` make in the grid; None when it stays empty."""
    cells: defaultdict[tuple[int, int], str] = defaultdict(str)
    for placed in sorted(lines, key=lambda one: (round(one.line.top), one.line.x0)):
        for cell, text in _by_cell(grid, placed, page):
            cells[cell] = join_lines(cells[cell], text)
    if not any(text.strip() for text in cells.values()):
        return None
    rows = []
    for row in range(len(grid.ys) - 1):
        # A cell over several rows is repeated in each; one over several columns stands in the first.
        owners = [grid.cell_of[row, column] for column in range(len(grid.xs) - 1)]
        rows.append(tuple(tidy(cells[o]) if o not in owners[:n] else "" for n, o in enumerate(owners)))
    return Table(tuple(row for row in rows if any(row)), number, headers=_header_rows(grid))


def _by_cell(grid: Grid, placed: PlacedLine, page: PageReader) -> Iterator[tuple[tuple[int, int], str]]:
    """The pieces of one line, each with its cell."""
    piece, current, blank = "", None, False
    for at in range(placed.start, placed.end):
        char = page.text[at]
        if char.isspace() or char == "\0":
            blank = True
            continue
        x0, top, x1, bottom = page.box(at)
        cell = grid.at((x0 + x1) / 2, (top + bottom) / 2)
        if cell != current:
            if current is not None:
                yield current, piece
            piece, current, blank = "", cell, False
        piece += f" {char}" if blank else char
        blank = False
    if current is not None:
        yield current, piece


def _header_rows(grid: Grid) -> int:
    """One, or as many as the cells of the first row reach down; two when one of them spans columns."""
    columns, rows = len(grid.xs) - 1, len(grid.ys) - 1
    depth = 1
    for column in range(columns):
        owner = grid.cell_of[0, column]
        depth = max(depth, sum(grid.cell_of[row, column] == owner for row in range(rows)))
        if column and grid.cell_of[0, column - 1] == owner:
            depth = max(depth, 2)
    return depth if depth < rows else 1


def _connected(rules: Sequence[Rule]) -> list[list[Rule]]:
    """The rules in groups that touch each other."""
    flat = [rule for rule in rules if rule.horizontal]
    upright = [rule for rule in rules if not rule.horizontal]
    leader = list(range(len(rules)))

    def find(one: int) -> int:
        while leader[one] != one:
            leader[one] = leader[leader[one]]
            one = leader[one]
        return one

    for i, h in enumerate(flat):
        for j, v in enumerate(upright, len(flat)):
            if h.x0 - _NEAR <= v.x0 <= h.x1 + _NEAR and v.top - _NEAR <= h.top <= v.bottom + _NEAR:
                leader[find(i)] = find(j)
    groups: defaultdict[int, list[Rule]] = defaultdict(list)
    for n, rule in enumerate([*flat, *upright]):
        groups[find(n)].append(rule)
    return list(groups.values())


def _grid(rules: Sequence[Rule]) -> Grid | None:
    flat = [rule for rule in rules if rule.horizontal]
    upright = [rule for rule in rules if not rule.horizontal]
    xs, ys = _places(rule.x0 for rule in upright), _places(rule.top for rule in flat)
    if len(xs) < 3 or len(ys) < 2:
        return None
    rows, columns = len(ys) - 1, len(xs) - 1
    cell_of: dict[tuple[int, int], tuple[int, int]] = {}
    for row in range(rows):
        for column in range(columns):
            x, y = (xs[column] + xs[column + 1]) / 2, (ys[row] + ys[row + 1]) / 2
            if row and not any(_meets(h.top, ys[row]) and h.x0 <= x <= h.x1 for h in flat):
                cell_of[row, column] = cell_of[row - 1, column]
            elif column and not any(_meets(v.x0, xs[column]) and v.top <= y <= v.bottom for v in upright):
                cell_of[row, column] = cell_of[row, column - 1]
            else:
                cell_of[row, column] = row, column
    return Grid(xs, ys, cell_of)


def _meets(one: float, other: float) -> bool:
    return abs(one - other) <= _NEAR


def _places(values: Iterable[float]) -> tuple[float, ...]:
    """Different places: values nearer than _NEAR are one."""
    places: list[float] = []
    for value in sorted(values):
        if not places or value - places[-1] > _NEAR:
            places.append(value)
    return tuple(places)
