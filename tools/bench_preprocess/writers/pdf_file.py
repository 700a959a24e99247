"""PDF, by reportlab's canvas: one or two columns, a CID font or an embedded one, as the typesetter places lines."""

import io
from collections.abc import Iterator
from pathlib import Path

from reportlab.lib.pagesizes import A4
from reportlab.pdfbase import pdfmetrics
from reportlab.pdfbase.cidfonts import UnicodeCIDFont
from reportlab.pdfbase.ttfonts import TTFont
from reportlab.pdfgen.canvas import Canvas

from tools.bench_preprocess.model import Model

_CID = "STSong-Light"
_EMBEDDED = Path("/usr/share/fonts/truetype/wqy/wqy-microhei.ttc")
_WIDTH, _HEIGHT = A4
_LEFT, _RIGHT, _TOP, _BOTTOM = 80.0, _WIDTH - 80.0, _HEIGHT - 90.0, 90.0
_NO_LINE_START = "，。；：、！？）》”’』」〕％"


def write(model: Model, *, columns: int = 1, embedded: bool = False, size: float = 12.0) -> bytes:
    """`embedded`: with the font of a file, when this machine has it."""
    stream = io.BytesIO()
    _Typesetter(stream, model, columns, _font(embedded), size).set()
    return stream.getvalue()


def _font(embedded: bool) -> str:
    if embedded and _EMBEDDED.exists():
        pdfmetrics.registerFont(TTFont("wqy", str(_EMBEDDED)))
        return "wqy"
    pdfmetrics.registerFont(UnicodeCIDFont(_CID))
    return _CID


class _Typesetter:
    def __init__(self, stream: io.BytesIO, model: Model, columns: int, font: str, size: float) -> None:
        self.canvas = Canvas(stream, pagesize=A4, invariant=True)
        self.model, self.font, self.size, self.columns = model, font, size, columns
        self.page, self.column, self.y = 0, 0, 0.0
        self.top = _TOP
        self.pitch = size * 1.7
        self.notes: list[tuple[int, str]] = []
        self.wanted = dict(model.footnotes)
        self.count = 0

    def set(self) -> None:
        self.new_page()
        self.body(self.model)
        if self.model.attachment:
            self.end_page()
            self.new_page()
            self.paragraph("附件", indent=0)
            self.body(self.model.attachment)
        self.end_page()
        self.canvas.save()

    def body(self, model: Model) -> None:
        if model.red_head:
            self.centred(model.red_head, self.size * 2.4)
            self.centred(model.doc_no, self.size)
        for title in model.title:
            self.centred(title, self.size * 1.6)
        if model.doc_no and not model.red_head:
            self.centred(model.doc_no, self.size)
        if model.note:
            self.centred(model.note, self.size)
        if model.contents:
            self.contents(model)
        self.top = self.y
        if model.salutation:
            self.paragraph(model.salutation, indent=0)
        for text in model.opening:
            self.paragraph(text)
        for section in model.sections:
            if section.heading:
                self.paragraph(section.heading, centre="章" in section.heading)
            for text in (*(p for article in section.articles for p in article), *section.paragraphs):
                self.paragraph(text)
        if model.table:
            self.table(model)
        for text in model.signature:
            self.paragraph(text) if text.startswith(("附件", "注")) else self.right(text)

    def contents(self, model: Model) -> None:
        self.centred("目　录", self.size)
        for n, section in enumerate(model.sections, 1):
            dots = "." * 60
            self.canvas.setFont(self.font, self.size)
            self.canvas.drawString(_LEFT, self.y, f"{section.heading}{dots}{n}")
            self.advance()

    def lines(self, text: str, indent: float, width: float) -> Iterator[tuple[float, str]]:
        """Offset and text of each line; no line begins with a closing mark."""
        rest, offset = text, indent * self.size
        while rest:
            room, n = width - offset, 0
            while n < len(rest) and pdfmetrics.stringWidth(rest[: n + 1], self.font, self.size) <= room:
                n += 1
            n = max(n, 1)
            while n > 1 and n < len(rest) and rest[n] in _NO_LINE_START:
                n -= 1
            yield offset, rest[:n]
            rest, offset = rest[n:], 0.0

    def paragraph(self, text: str, indent: int = 2, *, centre: bool = False) -> None:
        noted = next((sentence for sentence in self.wanted if sentence in text), None)
        mark_at = text.index(noted) + len(noted) - 1 if noted else -1
        at = 0
        for offset, line in self.lines(text, 0 if centre else indent, self.width):
            x = self.x + offset
            if centre:
                x = self.x + (self.width - pdfmetrics.stringWidth(line, self.font, self.size)) / 2
            self.canvas.setFont(self.font, self.size)
            if noted and at <= mark_at < at + len(line):
                self.note(x, line, mark_at - at, self.wanted.pop(noted))
            else:
                self.canvas.drawString(x, self.y, line)
            at += len(line)
            self.advance()

    def note(self, x: float, line: str, at: int, text: str) -> None:
        """A line with a raised number in it, and its note at the foot of the page."""
        self.count += 1
        before = pdfmetrics.stringWidth(line[:at], self.font, self.size)
        self.canvas.drawString(x, self.y, line[:at])
        self.canvas.setFont(self.font, self.size * 0.6)
        self.canvas.drawString(x + before, self.y + self.size * 0.4, str(self.count))
        width = pdfmetrics.stringWidth(str(self.count), self.font, self.size * 0.6)
        self.canvas.setFont(self.font, self.size)
        self.canvas.drawString(x + before + width, self.y, line[at:])
        self.notes.append((self.count, text))

    def table(self, model: Model) -> None:
        if model.table_caption:
            self.paragraph(model.table_caption, centre=True)
        step, height = self.width / len(model.table[0]), self.size * 1.8
        self.y -= 4
        for row in model.table:
            if self.y - height < _BOTTOM:
                self.new_column()
            for n, cell in enumerate(row):
                self.canvas.rect(self.x + n * step, self.y - height + self.size, step, height)
                self.canvas.drawString(self.x + n * step + 4, self.y, cell)
            self.y -= height
        self.y -= self.size

    def right(self, text: str) -> None:
        self.canvas.setFont(self.font, self.size)
        self.canvas.drawRightString(self.x + self.width - 2 * self.size, self.y, text)
        self.advance()

    def centred(self, text: str, size: float) -> None:
        self.canvas.setFont(self.font, size)
        self.canvas.drawCentredString(_WIDTH / 2, self.y - size + self.size, text)
        self.y -= size * 1.7
        self.top = self.y

    @property
    def width(self) -> float:
        return (_RIGHT - _LEFT - 24.0 * (self.columns - 1)) / self.columns

    @property
    def x(self) -> float:
        return _LEFT + self.column * (self.width + 24.0)

    def advance(self) -> None:
        self.y -= self.pitch
        if self.y < _BOTTOM + self.pitch * 1.2 * len(self.notes):
            self.new_column()

    def new_column(self) -> None:
        if self.column + 1 < self.columns:
            self.column += 1
            self.y = self.top
        else:
            self.end_page()
            self.new_page()

    def new_page(self) -> None:
        self.page += 1
        self.column, self.y, self.top = 0, _TOP, _TOP
        if self.model.watermark:
            self.canvas.saveState()
            self.canvas.setFillGray(0.85)
            self.canvas.translate(_WIDTH / 2, _HEIGHT / 2)
            self.canvas.rotate(45)
            self.canvas.setFont(self.font, 48)
            self.canvas.drawCentredString(0, 0, self.model.watermark)
            self.canvas.restoreState()
        if self.model.running_head:
            self.canvas.setFont(self.font, 9)
            self.canvas.drawCentredString(_WIDTH / 2, _HEIGHT - 50, self.model.running_head)

    def end_page(self) -> None:
        for n, (number, text) in enumerate(self.notes):
            self.canvas.setFont(self.font, self.size * 0.75)
            self.canvas.drawString(_LEFT, _BOTTOM - 10 - n * self.size, f"{number} {text}")
        self.notes = []
        self.canvas.setFont(self.font, 10)
        self.canvas.drawCentredString(_WIDTH / 2, 45, f"— {self.page} —")
        self.canvas.showPage()
