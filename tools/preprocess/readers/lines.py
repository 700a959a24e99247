"""Lines on pages -> paragraphs: which line goes on with the one above. Used for PDF, and for hard-wrapped text."""

import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import pairwise
from statistics import median

from tools.preprocess.blocks import Block, Paragraph, Table
from tools.preprocess.structure import marks
from tools.preprocess.structure.contents import is_leader
from tools.preprocess.structure.text import HAN, ends_sentence, is_wide, join_lines, tidy


@dataclass(frozen=True, slots=True, eq=False)
class Line:
    """One line of one column; each is equal to itself only.

    x grows to the right, y downwards, in points; for text in half characters and lines.
    """

    text: str
    x0: float
    x1: float
    top: float
    bottom: float
    size: float
    """Width of a full-width character."""
    page: int
    left: float = 0.0
    right: float = 0.0
    """Where the lines of its column begin and end."""
    cells: tuple[str, ...] = ()
    """The parts of a line with wide gaps, such as a row of a table without rules."""


def placed(line: Line, left: float, right: float) -> Line:
    """The line with the edges of its column."""
    # By hand: `dataclasses.replace` takes four times as long, and this is done for every line.
    return Line(
        line.text, line.x0, line.x1, line.top, line.bottom, line.size, line.page, left, right, line.cells
    )  # fmt: skip


_THIN_BLANK = re.compile(
    rf"(?<=[{HAN}〔（]) (?=\d)(?<![条章节编表图件] )|(?<=\d) (?=[年月日号亿万元个项次人户家倍〕）])"
)
"""What typesetters put between Chinese and digits; in the file it is a blank like others."""
_INDENT = 1.2
_SHORT = 2.2
"""In characters: from which indentation a line begins a paragraph; by how much the last line of one is shorter."""
_PUSHED = 6.0
"""In characters: from which indentation a line stands at the right, as a signature does, and is all by itself."""
_LOOSE = 1.3
"""In usual line pitches: from which distance two lines are two paragraphs."""
_SAME_SIZE = 0.1
_LEAST_ROWS = 3
_LEAST_CELLS = 3


def to_blocks(items: Sequence[Line | Table], body_size: float) -> list[Block]:
    """Paragraphs and tables in reading order."""
    pitch = _usual_pitch([item for item in items if isinstance(item, Line)])
    blocks: list[Block] = []
    lines: list[Line] = []
    for item in _with_loose_tables(items):
        if isinstance(item, Table):
            blocks += _paragraph(lines, body_size)
            lines = []
            blocks.append(item)
        elif lines and _begins(lines[-1], item, pitch):
            blocks += _paragraph(lines, body_size)
            lines = [item]
        else:
            lines.append(item)
    blocks += _paragraph(lines, body_size)
    return blocks


def _paragraph(lines: Sequence[Line], body_size: float) -> Iterator[Paragraph]:
    if not lines:
        return
    text = ""
    for line in lines:
        text = f"{text}\u3000{line.text.strip()}" if _is_bare_label(text) else join_lines(text, line.text.strip())
    first = lines[0]
    if not any(line.cells for line in lines):
        text = _THIN_BLANK.sub("", text)
    if text := tidy(text):
        yield Paragraph(text, first.page, centred=_is_centred(first), size=round(first.size / body_size, 2))


def _is_centred(line: Line) -> bool:
    before, after = line.x0 - line.left, line.right - line.x1
    return min(before, after) > _SHORT * line.size and abs(before - after) < 2.5 * line.size


def _begins(last: Line, line: Line, pitch: float) -> bool:
    """Whether `line` begins a paragraph."""
    if _is_entry(last) or _is_entry(line) or (_has_cells(last) and _has_cells(line)):
        return True
    if _is_bare_label(last.text):
        return False
    if abs(last.size - line.size) > _SAME_SIZE * max(last.size, line.size):
        return True
    if line.x0 - line.left > _INDENT * line.size or _is_centred(last) or last.x0 - last.left > _PUSHED * last.size:
        return True
    same_column = last.page == line.page and line.top > last.top
    if same_column and line.top - last.top > _LOOSE * pitch:
        return True
    room = last.right - last.x1
    if room > _SHORT * last.size:
        return room > _first_word(line)
    return ends_sentence(last.text) and _is_numbered(line.text)


def _is_bare_label(text: str) -> bool:
    """Whether it is 第五条 and nothing else: some programs break the line behind its wide blank."""
    label = marks.article(text.strip(), None)
    return label is not None and not label.rest


def _is_entry(line: Line) -> bool:
    """Whether it is a heading with its page in a table of contents."""
    return is_leader(line.text) or (len(line.cells) == 2 and line.cells[1].isdigit())


def _has_cells(line: Line) -> bool:
    """Whether it may be a row of a table; one such line alone is only set widely."""
    return len(line.cells) >= _LEAST_CELLS


def _first_word(line: Line) -> float:
    """Width of the first word, which may have been too long for the line above."""
    found = re.match(r"[A-Za-z0-9./:_%,-]+", line.text)
    return (0.5 * len(found.group()) + 1.5) * line.size if found else 0.0


def _is_numbered(text: str) -> bool:
    found = marks.article(text, None) or marks.division(text) or marks.item(text, decimals=True)
    return found is not None


def _usual_pitch(lines: Sequence[Line]) -> float:
    pitches = [
        after.top - before.top
        for before, after in pairwise(lines)
        if before.page == after.page and 0 < after.top - before.top < 4 * after.size
    ]
    return median(pitches) if pitches else 2.0 * (lines[0].size if lines else 1.0)


def _with_loose_tables(items: Iterable[Line | Table]) -> Iterator[Line | Table]:
    """Runs of rows with the same number of cells become a table."""
    rows: list[Line] = []
    for item in items:
        if isinstance(item, Line) and _has_cells(item):
            if rows and len(rows[-1].cells) != len(item.cells):
                yield from _rows(rows)
                rows = []
            rows.append(item)
            continue
        yield from _rows(rows)
        rows = []
        yield item
    yield from _rows(rows)


def _rows(rows: Sequence[Line]) -> Iterator[Line | Table]:
    if len(rows) >= _LEAST_ROWS:
        yield Table(tuple(tuple(map(tidy, row.cells)) for row in rows), rows[0].page, rows[-1].page)
    else:
        yield from rows


def column_edges(lines: Sequence[Line]) -> tuple[float, float]:
    """Where the lines of a column begin and end: the outermost places that two lines share."""
    size = median(line.size for line in lines)
    lefts = sorted(line.x0 for line in lines)
    # One line alone may show the edge: when the others are first lines, indented by two characters.
    left = next((x for n, x in enumerate(lefts[:-1]) if _near(lefts[n + 1] - x, 0.5 * size)), lefts[0])
    left = next((x for x in lefts if x < left and _near(left - x - 2 * size, 0.4 * size)), left)
    rights = sorted((line.x1 for line in lines), reverse=True)
    right = next((x for n, x in enumerate(rights[:-1]) if _near(x - rights[n + 1], 1.5 * size)), rights[0])
    return left, right


def _near(distance: float, tolerance: float) -> bool:
    return abs(distance) <= tolerance


def wide_length(text: str) -> int:
    """Width of a text in half characters."""
    return len(text) + sum(map(is_wide, text))
