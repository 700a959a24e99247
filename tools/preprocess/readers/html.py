"""HTML -> Source, by lxml: the part of the page that is the document, as blocks."""

import re
from dataclasses import dataclass, field
from functools import reduce

from lxml import etree, html

from service_kit.errors import UnreadableFile
from service_kit.passages.decoding import plausibility
from tools.preprocess.blocks import Block, Dropped, Paragraph, Source, Table
from tools.preprocess.errors import Damaged, NoText
from tools.preprocess.readers import notes
from tools.preprocess.readers.encoded import decode_named
from tools.preprocess.readers.html_main import find_main, is_navigation, meta_labels
from tools.preprocess.structure.text import join_lines, tidy

_CHARSET = re.compile(rb"""charset\s*=\s*["']?\s*([\w-]+)""", re.IGNORECASE)
_XML_DECLARATION = re.compile(r"^\s*<\?xml[^>]*\?>")
_BLOCKS = {
    "p", "div", "li", "h1", "h2", "h3", "h4", "h5", "h6", "section", "article", "ul", "ol", "dl", "dt", "dd", "main",
    "blockquote", "pre", "center", "tr", "td", "th", "table", "body", "figure", "figcaption", "header", "address", "br",
    "hr", "form", "fieldset", "tbody", "thead", "tfoot", "caption",
}  # fmt: skip
_IGNORED = {
    "script",
    "style",
    "noscript",
    "template",
    "iframe",
    "svg",
    "button",
    "select",
    "textarea",
    "head",
    "object",
}
_CENTRED = re.compile(r"text-align\s*:\s*center", re.IGNORECASE)
_NOTE_LINK = re.compile(r"#(?:fn|footnote|note|_ftn|ftn|_edn|zhu|cite_note)[\w:.-]*", re.IGNORECASE)
_BACK_LINK = re.compile(r"#(?:fnref|footnote-?ref|_ftnref|ftnref|_ednref|ref|cite_ref)[\w:.-]*", re.IGNORECASE)
_MOST_DEEP = 200
_MOST = 500
"""Columns or rows of one cell that are believed."""


def read(data: bytes) -> Source:
    """A page.

    Raises:
        UnreadableFile, Damaged, NoText
    """
    text, encoding = _decode(data)
    return from_text(text, "html", encoding)


def from_text(text: str, format_: str, encoding: str) -> Source:
    """A page that is text already."""
    try:
        root = html.document_fromstring(_XML_DECLARATION.sub("", text), parser=html.HTMLParser(huge_tree=False))
    except (etree.LxmlError, ValueError) as error:
        raise Damaged(f"HTML 无法解析：{error}", f"The HTML can not be parsed: {error}") from None
    labels = meta_labels(root)
    reader = _Reader(_take_notes(root))
    reader.walk(find_main(root), 0)
    reader.flush()
    if not reader.blocks:
        raise NoText("页面里没有文字", "The page holds no text")
    return Source(format_, tuple(reader.blocks), encoding=encoding, labels=labels, dropped=tuple(reader.dropped))


def _decode(data: bytes) -> tuple[str, str]:
    try:
        return decode_named(data)
    except UnreadableFile:
        # Too little Chinese to judge by: then what the page declares is believed, when it is plausible.
        found = _CHARSET.search(data[:2048])
        name = found[1].decode("ascii").lower() if found else ""
        codec = {"gb2312": "gb18030", "gbk": "gb18030"}.get(name, name)
        try:
            text = data.decode(codec) if codec else ""
        except (UnicodeDecodeError, LookupError):
            text = ""
        if not text or plausibility(text) < 0.5:
            raise
        return text, codec


@dataclass
class _Reader:
    """Walks over a page; text gathers until a block ends."""

    note_texts: dict[str, str]
    blocks: list[Block] = field(default_factory=list)
    dropped: list[Dropped] = field(default_factory=list)
    _text: str = ""
    _heading: int = 0
    _centred: bool = False
    _marker: str = ""

    def flush(self) -> None:
        """End the paragraph."""
        text = tidy(notes.attach(reduce(join_lines, map(str.strip, self._text.split("\n")), ""), self.note_texts))
        self._text = ""
        if text:
            self.blocks.append(Paragraph(self._marker + text, heading=self._heading, centred=self._centred))
            self._marker = ""

    def walk(self, element: etree._Element, depth: int) -> None:
        """All that is below an element."""
        tag = element.tag
        if not isinstance(tag, str) or tag in _IGNORED or depth > _MOST_DEEP:
            return
        if is_navigation(element):
            if text := tidy(" ".join(map(str, element.itertext()))):
                self.dropped.append(Dropped("navigation", text[:200]))
            return
        if tag == "table" and (table := _table(element, self.note_texts)):
            self.flush()
            self.blocks.append(table)
            return
        is_block = tag in _BLOCKS
        if is_block:
            self.flush()
        if tag == "a" and (name := _note_name(element)) in self.note_texts:
            self._text += notes.mark(name)
            return
        outside = self._heading, self._centred
        self._enter(element, tag)
        self.walk_inside(element, depth)
        if is_block:
            self.flush()
        self._heading, self._centred = outside

    def walk_inside(self, element: etree._Element, depth: int) -> None:
        """An element's own text and what is below it."""
        first, *more = (element.text or "").split("\n") if element.tag == "pre" else [element.text or ""]
        self._text += first
        for line in more:
            self.flush()
            self._text += line
        for child in element:
            self.walk(child, depth + 1)
            self._text += child.tail or ""

    def _enter(self, element: etree._Element, tag: str) -> None:
        if re.fullmatch(r"h[1-6]", tag):
            self._heading = int(tag[1])
        if tag == "center" or element.get("align") == "center" or _CENTRED.search(element.get("style") or ""):
            self._centred = True
        if tag == "li":
            above = element.getparent()
            if above is not None and above.tag == "ol":
                before = len(list(element.itersiblings("li", preceding=True)))
                self._marker = f"{_number(above, 'start') + before}. "


def _table(element: etree._Element, note_texts: dict[str, str]) -> Table | None:
    """A table with data; None for one that only lays out the page."""
    if element.find(".//table") is not None or element.find(".//h1") is not None:
        return None
    rows: list[tuple[str, ...]] = []
    headers = 0
    reach: dict[int, tuple[int, str]] = {}  # column -> rows that a cell above still covers, its text
    for row in element.iter("tr"):
        cells: list[str] = []
        only_headers = True
        for cell in row.iterchildren("td", "th"):
            _fill_reached(cells, reach)
            text = _cell_text(cell, note_texts)
            only_headers &= cell.tag == "th"
            down, across = _number(cell, "rowspan"), _number(cell, "colspan")
            for n in range(across):
                if down > 1:
                    reach[len(cells)] = (down - 1, "" if n else text)
                cells.append("" if n else text)
        _fill_reached(cells, reach)
        if any(cells):
            rows.append(tuple(cells))
            headers += headers == len(rows) - 1 and only_headers
    # One column, or one cell with the whole text, is layout.
    if not rows or max(map(len, rows)) < 2 or max(len(cell) for row in rows for cell in row) > 3000:
        return None
    caption = element.find("caption")
    name = tidy(" ".join(map(str, caption.itertext()))) if caption is not None else ""
    return Table(tuple(rows), headers=headers or 1, caption=name)


def _fill_reached(cells: list[str], reach: dict[int, tuple[int, str]]) -> None:
    while len(cells) in reach:
        left, text = reach.pop(len(cells))
        if left > 1:
            reach[len(cells)] = (left - 1, text)
        cells.append(text)


def _number(element: etree._Element, name: str) -> int:
    """An attribute that counts from 1."""
    value = element.get(name) or "1"
    return min(max(int(value), 1), _MOST) if re.fullmatch("[0-9]{1,6}", value) else 1


def _cell_text(cell: etree._Element, note_texts: dict[str, str]) -> str:
    inner = _Reader(note_texts)
    inner.walk_inside(cell, 0)
    inner.flush()
    return " ".join(block.text for block in inner.blocks if isinstance(block, Paragraph))


def _note_name(link: etree._Element) -> str:
    target = link.get("href") or ""
    return target[1:] if _NOTE_LINK.fullmatch(target) else ""


def _take_notes(root: etree._Element) -> dict[str, str]:
    """The notes that links in the text point to, by the name of their anchor; they leave the page."""
    wanted = {name for link in root.iter("a") if (name := _note_name(link)) and not _BACK_LINK.fullmatch(f"#{name}")}
    found: dict[str, str] = {}
    for name in sorted(wanted):
        for element in root.xpath("//*[@id=$name or @name=$name]", name=name):
            holder = element if element.tag in {"li", "p", "div", "dd"} else element.getparent()
            if holder is None:
                continue
            for back in [link for link in holder.iter("a") if _BACK_LINK.fullmatch(link.get("href") or "")]:
                back.drop_tree()
            text = tidy(" ".join(map(str, holder.itertext())))
            found[name] = re.sub(r"^[\[〔（(]?\d{1,3}[\]〕）)]?[\s.、:：]*", "", text)
            holder.drop_tree()
            break
    return found
