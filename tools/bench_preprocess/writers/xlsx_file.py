"""Excel, by openpyxl: a merged title, the unit, a header, rows, a remark."""

import io

import openpyxl
from openpyxl.styles import Alignment

from tools.bench_preprocess.model import Model


def write(model: Model) -> bytes:
    """Numbers are numbers, and shares are percentages by their format."""
    book = openpyxl.Workbook()
    sheet = book.active
    if sheet is None:
        raise ValueError("no sheet")
    width = len(model.table[0])
    for text in (model.full_title, *model.opening):
        sheet.append([text])
        sheet.merge_cells(start_row=sheet.max_row, end_row=sheet.max_row, start_column=1, end_column=width)
        sheet.cell(sheet.max_row, 1).alignment = Alignment(horizontal="center")
    for n, row in enumerate(model.table):
        sheet.append([_value(cell) if n else cell for cell in row])
        for column, cell in enumerate(row, 1):
            if n and cell.endswith("%"):
                sheet.cell(sheet.max_row, column).number_format = "0%"
    for text in model.signature:
        sheet.append([text])
    stream = io.BytesIO()
    book.save(stream)
    return stream.getvalue()


def _value(text: str) -> str | float:
    if text.endswith("%"):
        return int(text[:-1]) / 100
    try:
        return float(text)
    except ValueError:
        return text
