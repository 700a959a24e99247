"""One PDF page -> its lines, rules and images, by pdfium.

pdfium gives a page's text in one call; asking for the place of every character costs as much again several times over.
So only the ends of lines and the two sides of blanks are asked for.
"""

import ctypes
import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

import pypdfium2 as pdfium
from pypdfium2 import raw

from tools.preprocess.readers.lines import Line
from tools.preprocess.structure.text import HAN

_LINE = re.compile(r"[^\r\n\x00]+")
_GAP = re.compile(r"[ \u00a0\u3000]+")
_FULL_WIDTH = re.compile(f"[{HAN}]")
_WIDE_GAP = 1.8
"""In characters: from which distance two pieces of a line are apart."""
_SLANTED = 0.05
"""Radians from which a text is turned, as watermarks are."""
_THIN, _LEAST_RULE = 3.0, 8.0
"""Points."""
_MOST_OBJECTS = 20_000
_MOST_SEGMENTS = 400


@dataclass(frozen=True, slots=True)
class Rule:
    """A straight line along one of the axes."""

    x0: float
    top: float
    x1: float
    bottom: float

    @property
    def horizontal(self) -> bool:
        return self.x1 - self.x0 >= self.bottom - self.top


@dataclass(frozen=True, slots=True, eq=False)
class PlacedLine:
    """A line and where its characters are in the page's text."""

    line: Line
    slanted: bool
    start: int
    end: int


class PageReader:
    """Reads single characters of one open page; closed by the caller."""

    def __init__(self, page: pdfium.PdfPage, number: int) -> None:
        self._page = page
        self._text_page = page.get_textpage()
        self._raw = self._text_page.raw
        self._number = number
        self._box = raw.FS_RECTF()
        self._box_at = ctypes.byref(self._box)
        self.width, self.height = page.get_size()
        self._turn = page.get_rotation()
        self.text = self._aligned_text()

    def close(self) -> None:
        self._text_page.close()
        self._page.close()

    def _aligned_text(self) -> str:
        """The page's text, its n-th character being pdfium's n-th."""
        count = self._text_page.count_chars()
        text = self._text_page.get_text_range() if count > 0 else ""
        if len(text) != count:  # characters that have no Unicode, or need two units
            codes = (raw.FPDFText_GetUnicode(self._raw, at) for at in range(count))
            text = "".join(chr(code) if 0 < code < 0x110000 and not 0xD800 <= code < 0xE000 else "\0" for code in codes)
        return text

    def box(self, at: int) -> tuple[float, float, float, float]:
        """x0, top, x1, bottom of one character with its side bearings."""
        raw.FPDFText_GetLooseCharBox(self._raw, at, self._box_at)
        box = self._box
        if self._turn:
            return self._seen(box.left, box.bottom, box.right, box.top)
        return box.left, self.height - box.top, box.right, self.height - box.bottom

    def _seen(self, left: float, bottom: float, right: float, top: float) -> tuple[float, float, float, float]:
        """x0, top, x1, bottom, on the page as it is shown, of a place on the page as it lies in the file."""
        if self._turn == 90:
            return bottom, left, top, right
        if self._turn == 180:
            return self.width - right, bottom, self.width - left, top
        if self._turn == 270:
            return self.width - top, self.height - right, self.width - bottom, self.height - left
        return left, self.height - top, right, self.height - bottom

    def lines(self) -> Iterator["PlacedLine"]:
        """Each line, cut at wide gaps."""
        for found in _LINE.finditer(self.text):
            start, end = self._strip(found.start(), found.end())
            if start == end:
                continue
            angle = raw.FPDFText_GetCharAngle(self._raw, start)
            slanted = abs(math.cos(angle) if self._turn % 180 else math.sin(angle)) > _SLANTED
            for first, last in self._pieces(start, end):
                yield PlacedLine(self._line(first, last), slanted, first, last)

    def _strip(self, start: int, end: int) -> tuple[int, int]:
        text = self.text
        while start < end and text[start].isspace():
            start += 1
        while end > start and text[end - 1].isspace():
            end -= 1
        return start, end

    def _pieces(self, start: int, end: int) -> Iterator[tuple[int, int]]:
        """The parts between wide gaps."""
        first = start
        for gap in _GAP.finditer(self.text, start, end):
            _, top, before, bottom = self.box(gap.start() - 1)
            after = self.box(gap.end())[0]
            if after - before > _WIDE_GAP * max(bottom - top, 1) or after < before - 2 * (bottom - top):
                yield first, gap.start()
                first = gap.end()
        yield first, end

    def _line(self, start: int, end: int) -> Line:
        x0, top, x1, bottom = self.box(start)
        right = self.box(end - 1)[2] if end - start > 1 else x1
        size = bottom - top
        if wide := _FULL_WIDTH.search(self.text, start, end):
            left_edge, _, right_edge, _ = (x0, top, x1, bottom) if wide.start() == start else self.box(wide.start())
            size = right_edge - left_edge or size
        return Line(self.text[start:end].replace("\0", ""), x0, right, top, bottom, size or 1.0, self._number)

    def drawn(self) -> tuple[list[Rule], bool]:
        """The rules on the page, and whether there is an image."""
        rules: list[Rule] = []
        image = False
        edges = [ctypes.c_float() for _ in range(4)]
        at = [ctypes.byref(edge) for edge in edges]
        page, get, type_of = self._page.raw, raw.FPDFPage_GetObject, raw.FPDFPageObj_GetType
        for n in range(min(raw.FPDFPage_CountObjects(page), _MOST_OBJECTS)):
            item = get(page, n)
            kind = type_of(item)
            if kind == raw.FPDF_PAGEOBJ_TEXT:
                continue
            if kind in (raw.FPDF_PAGEOBJ_IMAGE, raw.FPDF_PAGEOBJ_FORM):
                image = True
            elif kind == raw.FPDF_PAGEOBJ_PATH and raw.FPDFPageObj_GetBounds(item, *at):
                left, bottom, right, top = (edge.value for edge in edges)
                box = Rule(*self._seen(left, bottom, right, top))
                if min(right - left, top - bottom) <= _THIN:
                    rules += [box] if max(right - left, top - bottom) >= _LEAST_RULE else []
                elif max(right - left, top - bottom) >= _LEAST_RULE:
                    rules += self._sides(item)
        return rules, image

    def _sides(self, path: object) -> Iterator[Rule]:
        """The straight sides of a path with several of them."""
        matrix = raw.FS_MATRIX()
        raw.FPDFPageObj_GetMatrix(path, ctypes.byref(matrix))
        x, y = ctypes.c_float(), ctypes.c_float()
        last = first = (0.0, 0.0)
        for n in range(min(raw.FPDFPath_CountSegments(path), _MOST_SEGMENTS)):
            segment = raw.FPDFPath_GetPathSegment(path, n)
            raw.FPDFPathSegment_GetPoint(segment, ctypes.byref(x), ctypes.byref(y))
            across = matrix.a * x.value + matrix.c * y.value + matrix.e
            up = matrix.b * x.value + matrix.d * y.value + matrix.f
            point = self._seen(across, up, across, up)[:2]
            kind = raw.FPDFPathSegment_GetType(segment)
            if kind == raw.FPDF_SEGMENT_MOVETO:
                first = point
            elif kind == raw.FPDF_SEGMENT_LINETO:
                yield from _rule(last, point)
            if raw.FPDFPathSegment_GetClose(segment):
                yield from _rule(point, first)
            last = point


def _rule(start: tuple[float, float], end: tuple[float, float]) -> Iterator[Rule]:
    (x0, y0), (x1, y1) = start, end
    width, height = abs(x1 - x0), abs(y1 - y0)
    if min(width, height) <= 1.0 and max(width, height) >= _LEAST_RULE:
        yield Rule(min(x0, x1), min(y0, y1), max(x0, x1), max(y0, y1))
