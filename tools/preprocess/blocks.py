"""What a reader hands on: the blocks of one document in reading order, and what it noticed on the way."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType

from service_kit.words import Words


@dataclass(frozen=True)
class Paragraph:
    """One paragraph, its lines joined, without line breaks."""

    text: str
    page: int = 1
    """From 1. Formats without pages (txt, html, md) are one page; a sheet of a workbook is a page."""
    heading: int = 0
    """1 to 9 when the file itself marks it as a heading of that level, 0 when it does not."""
    centred: bool = False
    size: float = 1.0
    """Font size relative to the document's usual one; 1 when not known."""


@dataclass(frozen=True)
class Table:
    """Rows of cells. A cell that spans rows is repeated in each; one that spans columns stands in the first."""

    rows: tuple[tuple[str, ...], ...]
    page: int = 1
    last_page: int = 0
    """0: the same as `page`."""
    headers: int = 1
    """Rows at the top that name the columns."""
    caption: str = ""
    remarks: tuple[str, ...] = ()
    """注：…, below it."""


Block = Paragraph | Table


@dataclass(frozen=True)
class Dropped:
    """A line that is left out of all passages."""

    kind: str
    """header, footer, page number, contents, watermark, navigation."""
    text: str
    page: int = 1


@dataclass(frozen=True)
class Source:
    """One file as read."""

    format: str
    blocks: tuple[Block, ...]
    pages: int = 1
    encoding: str | None = None
    """Of text formats; None for the others."""
    labels: Mapping[str, str] = field(default_factory=lambda: MappingProxyType({}))
    """Facts that the file gives outside its text (html's <meta>, markdown's front matter): label -> value."""
    dropped: tuple[Dropped, ...] = ()
    warnings: tuple[Words, ...] = ()
