"""The text of one Word paragraph: runs, also inserted and linked ones, without what is deleted, hidden or doubled."""

from collections.abc import Iterator

from lxml import etree

from tools.preprocess.readers import notes
from tools.preprocess.readers.docx_numbering import W

_SKIPPED = {
    f"{W}{name}" for name in ("del", "moveFrom", "instrText", "delText", "txbxContent", "pPr", "rPr", "sdtPr", "pict")
} | {"{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"}
_BREAKS = {f"{W}tab": "\t", f"{W}br": "\n", f"{W}cr": "\n", f"{W}noBreakHyphen": "-"}
_NOTES = {f"{W}footnoteReference": "f", f"{W}endnoteReference": "e"}
PAGE_BREAK = "\f"
"""Stands where a new page begins."""


def text_of(element: etree._Element) -> str:
    """The text below an element: `\\n` for line breaks, PAGE_BREAK for page breaks, marks where notes are meant."""
    return "".join(_pieces(element))


def _pieces(element: etree._Element) -> Iterator[str]:
    for child in element:
        tag = child.tag
        if tag in _SKIPPED or not isinstance(tag, str):
            continue
        if tag == f"{W}r" and child.find(f"{W}rPr/{W}vanish") is not None:
            continue
        if tag == f"{W}t":
            yield child.text or ""
        elif (tag == f"{W}br" and child.get(f"{W}type") == "page") or tag == f"{W}lastRenderedPageBreak":
            yield PAGE_BREAK
        elif tag in _BREAKS:
            yield _BREAKS[tag]
        elif tag in _NOTES:
            yield notes.mark(_NOTES[tag] + child.get(f"{W}id", ""))
        elif tag == f"{W}sym":
            continue
        else:
            yield from _pieces(child)


def text_boxes(element: etree._Element) -> Iterator[etree._Element]:
    """The text boxes that hang on a paragraph; of two forms of the same one, the newer."""
    fallback = "{http://schemas.openxmlformats.org/markup-compatibility/2006}Fallback"
    for box in element.iter(f"{W}txbxContent"):
        above = {ancestor.tag for ancestor in box.iterancestors()}
        if fallback not in above:
            yield box


def note_texts(part: bytes | None, kind: str) -> dict[str, str]:
    """Name -> text of the notes in word/footnotes.xml or endnotes.xml. `kind`: f or e."""
    if not part:
        return {}
    root = etree.fromstring(part, etree.XMLParser(resolve_entities=False, no_network=True))
    found = {}
    for note in root:
        if note.get(f"{W}type") in (None, "normal"):
            text = " ".join(text_of(p).replace(PAGE_BREAK, "").strip() for p in note.iter(f"{W}p"))
            found[kind + note.get(f"{W}id", "")] = text.strip()
    return found
