"""Word, by python-docx: real heads, feet and footnotes; with drawn numbers for articles when asked for."""

import io
from typing import TYPE_CHECKING, cast

import docx
from docx.document import Document
from docx.enum.section import WD_SECTION
from docx.enum.text import WD_ALIGN_PARAGRAPH, WD_BREAK
from docx.opc.constants import RELATIONSHIP_TYPE
from docx.opc.packuri import PackURI
from docx.opc.part import Part
from docx.oxml import parse_xml
from docx.oxml.ns import nsdecls
from docx.shared import Pt

from tools.bench_preprocess.model import Model

if TYPE_CHECKING:
    from docx.oxml.text.paragraph import CT_P

_W = nsdecls("w")


def write(model: Model, *, styled: bool = False) -> bytes:
    """`styled`: headings by style, as careful authors do; else by hand, as most do."""
    document = docx.Document()
    document.styles["Normal"].font.size = Pt(16)
    section = document.sections[0]
    if model.running_head:
        section.header.paragraphs[0].text = model.running_head
        section.footer.paragraphs[0].text = "— 1 —"
    writer = _Writer(document, styled)
    writer.body(model)
    writer.attach_notes()
    if model.attachment:
        document.paragraphs[-1].add_run().add_break(WD_BREAK.PAGE)
        document.add_section(WD_SECTION.CONTINUOUS)
        writer.line("附件")
        writer.body(model.attachment)
    stream = io.BytesIO()
    document.save(stream)
    return stream.getvalue()


class _Writer:
    def __init__(self, document: Document, styled: bool) -> None:
        self.document = document
        self.styled = styled
        self.notes: list[str] = []
        self.wanted: dict[str, str] = {}

    def body(self, model: Model) -> None:
        self.wanted |= dict(model.footnotes)
        self.head(model)
        for text in filter(None, (model.salutation, *model.opening)):
            self.line(text, indent=text != model.salutation)
        for section in model.sections:
            if section.heading:
                self.line(section.heading, centred="章" in section.heading, style="Heading 1" if self.styled else "")
            for text in (*(p for article in section.articles for p in article), *section.paragraphs):
                self.line(text, indent=True)
        if model.table:
            self.table(model)
        for text in model.signature:
            self.line(text, right=not text.startswith(("附件", "注")))

    def head(self, model: Model) -> None:
        above, below = (model.doc_no, "") if model.red_head else ("", model.doc_no)
        if model.red_head:
            self.line(model.red_head, size=36, centred=True)
        for text in filter(None, (above,)):
            self.line(text, centred=True)
        for title in model.title:
            self.line(title, size=22, centred=True, style="Title" if self.styled else "")
        for text in filter(None, (below, model.note)):
            self.line(text, centred=True)
        if model.contents:
            self.line("目　录", centred=True)
            for n, section in enumerate(model.sections, 1):
                self.line(f"{section.heading}\t{n}")

    def line(
        self,
        text: str,
        *,
        size: int = 0,
        centred: bool = False,
        right: bool = False,
        indent: bool = False,
        style: str = "",
    ) -> None:
        paragraph = self.document.add_paragraph(style=style or None)
        if centred or right:
            paragraph.alignment = WD_ALIGN_PARAGRAPH.CENTER if centred else WD_ALIGN_PARAGRAPH.RIGHT
        if indent:
            paragraph.paragraph_format.first_line_indent = Pt(32)
        noted = next((sentence for sentence in self.wanted if sentence in text), None)
        before, _, after = text.partition(noted) if noted else (text, "", "")
        run = paragraph.add_run(before + (noted[:-1] if noted else ""))
        if size:
            run.font.size = Pt(size)
        if noted:
            self.notes.append(self.wanted.pop(noted))
            reference = f'<w:r {_W}><w:footnoteReference w:id="{len(self.notes)}"/></w:r>'
            paragraph._p.append(cast("CT_P", parse_xml(reference)))
            paragraph.add_run(noted[-1] + after)

    def table(self, model: Model) -> None:
        if model.table_caption:
            self.line(model.table_caption, centred=True)
        table = self.document.add_table(rows=0, cols=len(model.table[0]))
        for row in model.table:
            for cell, text in zip(table.add_row().cells, row, strict=True):
                cell.text = text
        table.rows[0]._tr.get_or_add_trPr().append(parse_xml(f"<w:tblHeader {_W}/>"))

    def attach_notes(self) -> None:
        """python-docx writes no footnotes: the part is made by hand, as Word lays it out."""
        if not self.notes:
            return
        notes = "".join(
            f'<w:footnote w:id="{n}"><w:p><w:r><w:footnoteRef/></w:r><w:r><w:t>{text}</w:t></w:r></w:p></w:footnote>'
            for n, text in enumerate(self.notes, 1)
        )
        separator = '<w:footnote w:type="separator" w:id="-1"><w:p><w:r><w:separator/></w:r></w:p></w:footnote>'
        xml = f"<w:footnotes {_W}>{separator}{notes}</w:footnotes>".encode()
        type_ = "application/vnd.openxmlformats-officedocument.wordprocessingml.footnotes+xml"
        part = Part(PackURI("/word/footnotes.xml"), type_, xml, self.document.part.package)
        self.document.part.relate_to(part, RELATIONSHIP_TYPE.FOOTNOTES)
