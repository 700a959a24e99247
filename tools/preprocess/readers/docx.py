"""Word (docx) -> Source, by python-docx. Heads and feet are parts of their own there and never read."""

import io
import re
import zipfile
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from itertools import islice

import docx
from docx.document import Document
from docx.opc.exceptions import PackageNotFoundError
from docx.oxml.exceptions import InvalidXmlError
from docx.styles.style import ParagraphStyle
from lxml import etree

from tools.preprocess.blocks import Block, Dropped, Paragraph, Source, Table
from tools.preprocess.errors import Damaged, NoText
from tools.preprocess.readers import notes
from tools.preprocess.readers.docx_numbering import Numbering, W, read_numbering
from tools.preprocess.readers.docx_text import PAGE_BREAK, note_texts, text_boxes, text_of
from tools.preprocess.structure.text import tidy

_HEADING = re.compile(r"(?:heading|标题)\s*(\d)", re.IGNORECASE)
_CONTENTS = re.compile(r"(?:toc|目录)\s*(?:\d|heading)|table of (?:contents|figures)", re.IGNORECASE)
_OUTLINE_BODY = 9
_USUAL_HALF_POINTS = 32.0
"""三号: what official documents are set in, when a document does not say."""


def read(data: bytes) -> Source:
    """A Word document.

    Raises:
        Damaged, NoText
    """
    try:
        document = docx.Document(io.BytesIO(data))
        blocks, dropped, pages = _Reader(document).run()
    except (PackageNotFoundError, InvalidXmlError, etree.LxmlError, zipfile.BadZipFile, KeyError, ValueError) as error:
        raise Damaged(f"Word 文件已损坏：{error}", f"The Word file is damaged: {error}") from None
    if not blocks:
        raise NoText("文件里没有文字", "The file holds no text")
    return Source("docx", tuple(_with_sizes(blocks)), pages, dropped=tuple(dropped))


@dataclass
class _Reader:
    """Walks over one document's body."""

    document: Document
    page: int = 1
    blocks: list[Block] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)

    def __post_init__(self) -> None:
        self._numbering: Numbering = read_numbering(self._part("/numbering"))
        self._notes = note_texts(self._part("/footnotes"), "f") | note_texts(self._part("/endnotes"), "e")
        self._styles = {
            style.style_id: style
            for style in self.document.styles
            if isinstance(style, ParagraphStyle) and style.style_id
        }
        self._in_contents = 0

    def _part(self, kind: str) -> bytes | None:
        rels = self.document.part.rels.values()
        return next((rel.target_part.blob for rel in rels if rel.reltype.endswith(kind) and not rel.is_external), None)

    def run(self) -> tuple[list[Block], list[Dropped], int]:
        self._walk(self.document.element.body)
        return self.blocks, self.dropped, self.page

    def _walk(self, parent: etree._Element) -> None:
        for child in parent:
            if child.tag == f"{W}p":
                self._paragraph(child)
            elif child.tag == f"{W}tbl":
                if table := self._table(child):
                    self.blocks.append(table)
            elif child.tag == f"{W}sdt":
                gallery = child.find(f"{W}sdtPr/{W}docPartObj/{W}docPartGallery")
                contents = gallery is not None and "Contents" in gallery.get(f"{W}val", "")
                self._in_contents += contents
                for content in child.findall(f"{W}sdtContent"):
                    self._walk(content)
                self._in_contents -= contents
            elif child.tag in {f"{W}ins", f"{W}moveTo", f"{W}customXml", f"{W}smartTag"}:
                self._walk(child)

    def _paragraph(self, element: etree._Element) -> None:
        raw = text_of(element)
        before = element.find(f"{W}pPr/{W}pageBreakBefore")
        self.page += before is not None and before.get(f"{W}val") not in ("0", "false")
        while raw.lstrip(" \n\u3000").startswith(PAGE_BREAK):
            raw = raw.lstrip(" \n\u3000")[1:]
            self.page += 1
        style = self._style(element)
        number = self._number(element, style)
        for n, line in enumerate(re.sub(PAGE_BREAK, "", raw).split("\n")):
            text = tidy(notes.attach((number + _blank(number, line) if n == 0 else "") + line, self._notes))
            if not text:
                continue
            if self._in_contents or (style and _CONTENTS.match(style.name or "")):
                self.dropped.append(Dropped("contents", text, self.page))
            else:
                self.blocks.append(
                    Paragraph(
                        text, self.page, _heading(element, style), _is_centred(element, style), _size(element, style)
                    )
                )
        self.page += raw.count(PAGE_BREAK)
        for box in text_boxes(element):
            self._walk(box)

    def _table(self, element: etree._Element) -> Table | None:
        """A table; a cell that goes on from the row above is repeated, cells of nested tables become text."""
        rows: list[tuple[str, ...]] = []
        headers = 0
        first_page = self.page
        for row in element.iter(f"{W}tr"):
            if next(row.iterancestors(f"{W}tbl")) is not element:
                continue
            cells: list[str] = []
            for cell in row.iter(f"{W}tc"):
                if next(cell.iterancestors(f"{W}tr")) is not row:
                    continue
                merge = cell.find(f"{W}tcPr/{W}vMerge")
                span = cell.find(f"{W}tcPr/{W}gridSpan")
                above = rows[-1] if rows else ()
                goes_on = merge is not None and merge.get(f"{W}val") != "restart" and len(cells) < len(above)
                cells.append(above[len(cells)] if goes_on else self._cell(cell))
                cells += [""] * (int(span.get(f"{W}val", "1")) - 1 if span is not None else 0)
            if any(cells):
                rows.append(tuple(cells))
                headers += len(rows) == headers + 1 and row.find(f"{W}trPr/{W}tblHeader") is not None
        if not rows:
            return None
        return Table(tuple(rows), first_page, self.page, headers or _header_rows(element))

    def _cell(self, cell: etree._Element) -> str:
        texts = []
        for p in cell.iter(f"{W}p"):
            raw = text_of(p)
            self.page += raw.count(PAGE_BREAK)
            number = self._number(p, self._style(p))
            texts.append(tidy(notes.attach(number + raw.replace(PAGE_BREAK, ""), self._notes)))
        return " ".join(filter(None, texts))

    def _style(self, element: etree._Element) -> ParagraphStyle | None:
        named = element.find(f"{W}pPr/{W}pStyle")
        return self._styles.get(named.get(f"{W}val", "")) if named is not None else None

    def _number(self, element: etree._Element, style: ParagraphStyle | None) -> str:
        """The number that Word draws before the paragraph."""
        found = element.find(f"{W}pPr/{W}numPr")
        for base in _lineage(style):
            found = found if found is not None else base.element.find(f"{W}pPr/{W}numPr")
        if found is None:
            return ""
        list_id, depth = found.find(f"{W}numId"), found.find(f"{W}ilvl")
        if list_id is None or list_id.get(f"{W}val") == "0":
            return ""
        level = int(depth.get(f"{W}val", "0")) if depth is not None else 0
        if depth is None and style and style.style_id and (linked := self._numbering.of_style(style.style_id)):
            level = linked[1]
        return self._numbering.next(list_id.get(f"{W}val", ""), level)


def _header_rows(table: etree._Element) -> int:
    """Two when cells of the first row span columns or rows, else one."""
    first = table.find(f"{W}tr")
    spans = first is not None and any(
        first.find(f"{W}tc/{W}tcPr/{W}{name}") is not None for name in ("gridSpan", "vMerge")
    )
    return 2 if spans and len(table.findall(f"{W}tr")) > 2 else 1


def _lineage(style: ParagraphStyle | None) -> Iterator[ParagraphStyle]:
    """The style and those that it is based on."""
    seen = 0
    while isinstance(style, ParagraphStyle) and seen < 20:
        yield style
        style = style.base_style if isinstance(style.base_style, ParagraphStyle) else None
        seen += 1


def _heading(element: etree._Element, style: ParagraphStyle | None) -> int:
    """1 to 9; the style Title is 1. 0 for text."""
    levels = [element.find(f"{W}pPr/{W}outlineLvl")]
    for base in _lineage(style):
        name = base.name or ""
        if found := _HEADING.match(name):
            return int(found[1])
        if name.lower() in {"title", "标题"}:
            return 1
        levels.append(base.element.find(f"{W}pPr/{W}outlineLvl"))
    level = next((int(one.get(f"{W}val", "9")) for one in levels if one is not None), _OUTLINE_BODY)
    return level + 1 if level < _OUTLINE_BODY else 0


def _is_centred(element: etree._Element, style: ParagraphStyle | None) -> bool:
    places = [element, *(base.element for base in _lineage(style))]
    found = next((jc for place in places if (jc := place.find(f"{W}pPr/{W}jc")) is not None), None)
    return found is not None and found.get(f"{W}val") == "center"


def _size(element: etree._Element, style: ParagraphStyle | None) -> float:
    """Of the first run, else of the style, in half points; 0 when nothing says."""
    places = [*islice(element.iter(f"{W}r"), 1), *(base.element for base in _lineage(style))]
    sizes = (place.find(f"{W}rPr/{W}sz") for place in places)
    return next((float(size.get(f"{W}val", "0")) for size in sizes if size is not None), 0.0)


def _with_sizes(blocks: list[Block]) -> Iterator[Block]:
    """Sizes relative to the one that most characters have."""
    weights: dict[float, int] = {}
    for block in blocks:
        if isinstance(block, Paragraph):
            weights[block.size] = weights.get(block.size, 0) + len(block.text)
    usual = max(weights, key=lambda size: weights[size]) if weights else 0.0
    for block in blocks:
        if isinstance(block, Paragraph):
            size = block.size / (usual or _USUAL_HALF_POINTS) if block.size else 1.0
            yield replace(block, size=round(size, 2))
        else:
            yield block


def _blank(number: str, line: str) -> str:
    """What stands between a drawn number and the text."""
    return " " if number and line and number[-1] not in "、）)" else ""
