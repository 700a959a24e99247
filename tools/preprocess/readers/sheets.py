"""Workbooks (xlsx) and CSV -> Source: a sheet is a page, its data a table, the lines above and below it paragraphs."""

import csv
import io
import re
import warnings
import zipfile
import zlib
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import date, datetime, time
from itertools import islice

import openpyxl
from lxml import etree
from openpyxl.cell.cell import Cell, MergedCell
from openpyxl.utils.exceptions import InvalidFileException
from openpyxl.worksheet.worksheet import Worksheet

from service_kit.words import Words
from tools.preprocess.blocks import Block, Paragraph, Source, Table
from tools.preprocess.errors import Damaged, NoText
from tools.preprocess.readers.encoded import decode_named
from tools.preprocess.structure.text import tidy

MOST_ROWS = 100_000
"""Of one sheet; the rest is left out with a warning."""
_SAMPLE = 16_384
_MOST_COLUMNS = 300
_DELIMITERS = ",\t;|"
_PERCENT = re.compile(r"0(?:\.(0+))?%")
Row = tuple[str, ...]


def read_xlsx(data: bytes) -> Source:
    """A workbook; formulas show the values that were saved with them.

    Raises:
        Damaged, NoText
    """
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # openpyxl warns of extensions that it does not keep
            book = openpyxl.load_workbook(io.BytesIO(data), data_only=True)
    except (InvalidFileException, zipfile.BadZipFile, etree.LxmlError, KeyError, ValueError, TypeError, OSError,
            AttributeError, IndexError, EOFError, zlib.error) as error:  # fmt: skip
        raise Damaged(f"Excel 文件已损坏：{error}", f"The Excel file is damaged: {error}") from None
    blocks: list[Block] = []
    said: list[Words] = []
    sheets = [sheet for sheet in book.worksheets if sheet.sheet_state == "visible"]
    for number, sheet in enumerate(sheets, 1):
        rows = _rows(sheet)
        if len(rows) > MOST_ROWS or sheet.max_column > _MOST_COLUMNS:
            said.append(_cut_off(sheet.title))
        name = sheet.title if len(sheets) > 1 else ""
        blocks += _sheet(list(rows.values())[:MOST_ROWS], number, name, _header_rows(sheet, rows))
    if not blocks:
        raise NoText("工作簿里没有内容", "The workbook is empty")
    return Source("xlsx", tuple(blocks), len(sheets), warnings=tuple(said))


def read_csv(data: bytes) -> Source:
    """A CSV file with commas, tabs, semicolons or bars; its first row names the columns.

    Raises:
        UnreadableFile, Damaged, NoText
    """
    text, encoding = decode_named(data)
    try:
        dialect = csv.Sniffer().sniff(text[:_SAMPLE], _DELIMITERS)
    except csv.Error:
        dialect = csv.excel
    try:
        cells = islice(csv.reader(io.StringIO(text), dialect, strict=False), MOST_ROWS + 1)
        rows = [tuple(tidy(cell) for cell in row) for row in cells]
    except csv.Error as error:
        raise Damaged(f"CSV 无法解析：{error}", f"The CSV can not be parsed: {error}") from None
    blocks = _sheet(rows[:MOST_ROWS], 1, "", 1)
    if not blocks:
        raise NoText("文件里没有内容", "The file is empty")
    said = (_cut_off("CSV"),) if len(rows) > MOST_ROWS else ()
    return Source("csv", tuple(blocks), encoding=encoding, warnings=said)


def _cut_off(name: str) -> Words:
    return Words(
        f"{name}：只读了前 {MOST_ROWS} 行、前 {_MOST_COLUMNS} 列",
        f"{name}: only the first {MOST_ROWS} rows and {_MOST_COLUMNS} columns were read",
    )


def _rows(sheet: Worksheet) -> dict[int, Row]:
    """Row number -> its cells as text; a cell that is merged downwards is repeated, one merged to the right is not.

    Only rows with a value: a stray format or a cell at the far end makes a sheet claim a million of them, and
    openpyxl's own iterators create every cell that they pass.
    """
    found: defaultdict[int, dict[int, str]] = defaultdict(dict)
    for (row, column), cell in sheet._cells.items():
        if column <= _MOST_COLUMNS and (text := _shown(cell)):
            found[row][column] = text
    for area in sheet.merged_cells.ranges:
        text = found[area.min_row].get(area.min_col, "") if area.min_row in found else ""
        for row in found.keys() & set(range(area.min_row + 1, area.max_row + 1)) if text else ():
            found[row][area.min_col] = text
    width = max((column for cells in found.values() for column in cells), default=0)
    return {row: tuple(found[row].get(n, "") for n in range(1, width + 1)) for row in sorted(found)}


def _shown(cell: Cell | MergedCell) -> str:
    """A cell's value as people read it."""
    value = cell.value
    if value is None:
        return ""
    if isinstance(value, bool):
        return "是" if value else "否"
    if isinstance(value, datetime):
        return value.date().isoformat() if value.time() == time() else value.isoformat(" ", "minutes")
    if isinstance(value, date | time):
        return value.isoformat()
    if isinstance(value, float):
        if percent := _PERCENT.fullmatch(cell.number_format or ""):
            return f"{value:.{len(percent[1] or '')}%}"
        return str(int(value)) if value.is_integer() and abs(value) < 1e15 else f"{value:.12g}"
    return tidy(str(value))


def _header_rows(sheet: Worksheet, rows: Mapping[int, Row]) -> int:
    """How many rows the header takes, counted from its first row: what its merged cells reach over."""
    first, width = next(((n, len(row)) for n, row in rows.items() if _filled(row) > 1), (0, 0))
    depth = 1
    for area in sheet.merged_cells.ranges:
        if area.min_row == first and area.max_col - area.min_col + 1 < width:
            depth = max(depth, area.max_row - area.min_row + 1, 2 if area.max_col > area.min_col else 1)
    return depth


def _filled(row: Row) -> int:
    return sum(map(bool, row))


def _sheet(rows: Sequence[Row], page: int, name: str, headers: int) -> list[Block]:
    """The lines of one cell above and below the data are paragraphs, what is between is the table."""
    filled = [row for row in rows if any(row)]
    first = next((n for n, row in enumerate(filled) if _filled(row) > 1), len(filled))
    last = next((n for n in range(len(filled) - 1, -1, -1) if _filled(filled[n]) > 1), first - 1)
    above = [Paragraph(_only(row), page, centred=True) for row in filled[:first]]
    blocks: list[Block] = [*above]
    if name:
        blocks.insert(1 if page == 1 and above else 0, Paragraph(name, page, heading=2))
    if first <= last:
        width = max(max((n for n, cell in enumerate(row, 1) if cell), default=0) for row in filled[first : last + 1])
        table = tuple(row[:width] for row in filled[first : last + 1])
        blocks.append(Table(table, page, headers=min(headers, max(len(table) - 1, 1))))
    blocks += [Paragraph(_only(row), page) for row in filled[max(last + 1, first) :]]
    return blocks if first <= last or above else []


def _only(row: Row) -> str:
    return next(cell for cell in row if cell)
