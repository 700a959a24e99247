"""PDF -> Source. Reads pages one by one; what can only be told from all of them together is decided at the end."""

import re
from collections import Counter, defaultdict
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

import pypdfium2 as pdfium

from service_kit.passages.decoding import plausibility
from service_kit.words import Words
from tools.preprocess.blocks import Block, Dropped, Paragraph, Source, Table
from tools.preprocess.errors import Damaged, Encrypted, NoText
from tools.preprocess.readers import notes
from tools.preprocess.readers.lines import Line, column_edges, placed, to_blocks
from tools.preprocess.readers.pdf_columns import Ordered, in_order
from tools.preprocess.readers.pdf_furniture import find_furniture, usual_size
from tools.preprocess.readers.pdf_notes import Raised, find_raised, take_notes
from tools.preprocess.readers.pdf_page import PageReader, PlacedLine
from tools.preprocess.readers.pdf_tables import fill, find_grids

_READABLE = 0.5
"""Least share of usual characters in a text layer that is believed."""
_FOREIGN = 0.2
"""Share of characters beyond ASCII from which it is judged: English text has bullets and dashes only."""
_SAMPLE = 5000
"""Characters that are looked at for that."""
_NARROW = 0.4
"""Share of the page's width: narrower text than that is short lines, and no column."""
_CONTROL = re.compile(r"[\x00-\x08\x0b-\x1f\x7f-\x9f\ufffe\uffff]")


@dataclass(frozen=True)
class _Page:
    """What is kept of a page once it is closed."""

    number: int
    width: float
    height: float
    lines: tuple[Line, ...]
    tables: Mapping[Line, Table]
    """By a line without text that has the table's place."""
    slanted: tuple[Line, ...]
    raised: Mapping[Line, tuple[Raised, ...]]
    blank: bool
    has_image: bool


def read(data: bytes) -> Source:
    """A PDF with a text layer.

    Raises:
        Encrypted, Damaged, NoText
    """
    document = _open(data)
    try:
        pages = list(_pages(document))
    except pdfium.PdfiumError as error:
        raise Damaged(f"PDF 已损坏：{error}", f"The PDF is damaged: {error}") from None
    finally:
        document.close()
    empty = [page for page in pages if page.blank]
    if len(empty) == len(pages):
        raise NoText("没有文字：整份是扫描件或空白，请先做 OCR", "No text: all pages are scans or blank; run OCR first")
    body_size = usual_size(_sizes(pages))
    furniture = find_furniture([(page.height, page.lines) for page in pages], body_size)
    watermarks = [Dropped("watermark", line.text, line.page) for page in pages for line in page.slanted]
    items, found = _flow(pages, furniture, body_size)
    blocks = [_with_notes(block, found) for block in _join_tables(to_blocks(items, body_size))]
    _refuse_mojibake(blocks)
    dropped = (*furniture.values(), *watermarks)
    return Source("pdf", tuple(blocks), len(pages), dropped=dropped, warnings=tuple(_scanned(empty)))


def _open(data: bytes) -> pdfium.PdfDocument:
    try:
        document = pdfium.PdfDocument(data)
        if len(document) > 0:
            return document
    except pdfium.PdfiumError as error:
        if "password" in str(error).lower() or "security" in str(error).lower():
            raise Encrypted("PDF 已加密，需要密码", "The PDF is encrypted; it needs a password") from None
        raise Damaged(f"PDF 已损坏：{error}", f"The PDF is damaged: {error}") from None
    raise Damaged("PDF 没有任何页", "The PDF has no page")


def _pages(document: pdfium.PdfDocument) -> Iterator[_Page]:
    sizes: Counter[float] = Counter()
    for index in range(len(document)):
        reader = PageReader(document[index], index + 1)
        try:
            lines = list(reader.lines())
            for one in lines:
                sizes[round(one.line.size, 1)] += len(one.line.text)
            yield _page(reader, index + 1, lines, usual_size(sizes))
        finally:
            reader.close()


def _page(reader: PageReader, number: int, lines: Sequence[PlacedLine], body_size: float) -> _Page:
    slanted = [one for one in lines if one.slanted]
    if 2 * len(slanted) > len(lines):  # the text itself is turned
        slanted = []
    rest = [one for one in lines if one not in slanted] if slanted else list(lines)
    rules, has_image = reader.drawn()
    tables = {}
    for grid in find_grids(rules):
        inside = [one for one in rest if grid.holds(*_centre(one.line))]
        if table := fill(grid, inside, reader, number):
            place = Line("", grid.xs[0], grid.xs[-1], grid.ys[0], grid.ys[-1], body_size, number)
            tables[place] = table
            rest = [one for one in rest if one not in inside]
    return _Page(
        number, reader.width, reader.height, tuple(one.line for one in rest), tables,
        tuple(one.line for one in slanted),
        find_raised(reader, rest, body_size), blank=not lines, has_image=has_image,
    )  # fmt: skip


def _centre(line: Line) -> tuple[float, float]:
    return (line.x0 + line.x1) / 2, (line.top + line.bottom) / 2


def _sizes(pages: Sequence[_Page]) -> Counter[float]:
    sizes: Counter[float] = Counter()
    for page in pages:
        for line in page.lines:
            sizes[round(line.size, 1)] += len(line.text)
    return sizes


def _flow(
    pages: Sequence[_Page], furniture: Collection[Line], body_size: float
) -> tuple[list[Line | Table], dict[str, str]]:
    """All lines and tables of the document in reading order, lines with the edges of their columns; and the notes."""
    kept: dict[int, list[Line]] = {}
    found: dict[str, str] = {}
    tables: dict[Line, Table] = {}
    for page in pages:
        lines, texts = take_notes([line for line in page.lines if line not in furniture], page.raised, body_size)
        kept[page.number] = [*lines, *page.tables]
        found |= texts
        tables |= page.tables
    ordered = in_order(kept, frozenset(tables))
    edges = _edges(ordered, max(page.width for page in pages))
    items: list[Line | Table] = []
    for number, lines_of_page in ordered.items():
        for one in lines_of_page:
            left, right = edges[_column(number, one)]
            items.append(tables.get(one.line) or placed(one.line, left, right))
    return items, found


def _column(page: int, one: Ordered) -> tuple[int, int]:
    """Which lines have the same edges: those of one column; left and right pages may differ."""
    return page % 2, one.column


def _edges(pages: Mapping[int, Sequence[Ordered]], width: float) -> dict[tuple[int, int], tuple[float, float]]:
    """Left and right edge of each column. Where all lines are short, the right margin is as wide as the left one."""
    columns: defaultdict[tuple[int, int], list[Line]] = defaultdict(list)
    for number, ordered in pages.items():
        for one in ordered:
            columns[_column(number, one)].append(one.line)
    edges = {column: column_edges(lines) for column, lines in columns.items()}
    for (parity, number), (left, right) in edges.items():
        if number == 0 and right - left < _NARROW * width:
            edges[parity, number] = left, max(right, width - left)
    return edges


def _join_tables(blocks: Sequence[Block]) -> list[Block]:
    """A table that goes on at the top of the next page is one table; its repeated header is dropped."""
    joined: list[Block] = []
    for block in blocks:
        last = joined[-1] if joined else None
        if isinstance(last, Table) and isinstance(block, Table) and _goes_on(last, block):
            head = last.rows[: last.headers]
            rows = block.rows[last.headers :] if block.rows[: last.headers] == head else block.rows
            joined[-1] = replace(last, rows=last.rows + rows, last_page=block.page)
        else:
            joined.append(block)
    return joined


def _goes_on(last: Table, table: Table) -> bool:
    return table.page == (last.last_page or last.page) + 1 and len(last.rows[0]) == len(table.rows[0])


def _with_notes(block: Block, found: Mapping[str, str]) -> Block:
    if isinstance(block, Paragraph) and found:
        return replace(block, text=notes.attach(block.text, found))
    return block


def _scanned(empty: Sequence[_Page]) -> Iterator[Words]:
    """One warning for each run of pages without text; blank pages without a picture are none."""
    numbers = [page.number for page in empty if page.has_image]
    runs: list[list[int]] = []
    for number in numbers:
        if runs and number == runs[-1][-1] + 1:
            runs[-1].append(number)
        else:
            runs.append([number])
    for run in runs:
        span = f"{run[0]}–{run[-1]}" if len(run) > 1 else f"{run[0]}"
        hold = "hold" if len(run) > 1 else "holds"
        yield Words(f"第 {span} 页没有文字：扫描件", f"page {span} {hold} no text: scanned")


def _refuse_mojibake(blocks: Sequence[Block]) -> None:
    text = _CONTROL.sub("", "".join(block.text for block in blocks if isinstance(block, Paragraph)))
    beyond_ascii = len(text) - len(text.encode("ascii", "ignore"))
    if beyond_ascii > _FOREIGN * len(text) and plausibility(text[:_SAMPLE]) < _READABLE:
        raise NoText(
            "文字层是乱码（字体没有 Unicode 对照），请先做 OCR",
            "The text layer is mojibake (its fonts map to no Unicode); run OCR first",
        )
