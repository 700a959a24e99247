"""One file from its bytes to its passages. Pure, but for LibreOffice, which may be asked to convert."""

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import PurePath

from service_kit.words import Words
from tools.preprocess.blocks import Dropped, Paragraph, Source
from tools.preprocess.errors import NoText
from tools.preprocess.passages import Limits, Piece, cut
from tools.preprocess.readers.reading import read
from tools.preprocess.structure.captions import with_captions
from tools.preprocess.structure.contents import drop_contents
from tools.preprocess.structure.facts import Facts, find_facts, find_signature
from tools.preprocess.structure.front import Front, split_front
from tools.preprocess.structure.outline import Part, outline
from tools.preprocess.tokens import Count


@dataclass(frozen=True)
class Document:
    """All that is known of one file."""

    format: str
    encoding: str | None
    pages: int
    facts: Facts
    pieces: tuple[Piece, ...]
    dropped: tuple[Dropped, ...]
    warnings: tuple[Words, ...]


def process(name: str, data: bytes, limits: Limits, count: Count) -> Document:
    """Read, recognise and cut one file. `name`: its name, whose stem is the title when the page shows none.

    Raises:
        DocumentError, UnreadableFile
    """
    source = read(name, data)
    facts, parts, dropped = understand(source, PurePath(name).stem)
    pieces = cut(parts, facts.title, limits, count)
    if not pieces:
        raise NoText("除页眉页脚、目录外没有正文", "Nothing but heads, feet and contents")
    said = (*source.warnings, *_doubts(pieces, limits))
    return Document(
        source.format, source.encoding, source.pages, facts, tuple(pieces), (*source.dropped, *dropped), said
    )


def understand(source: Source, stem: str) -> tuple[Facts, list[Part], list[Dropped]]:
    """The facts, every block with its place, and the lines that are left out."""
    blocks, dropped = drop_contents(source.blocks)
    front, body = split_front(blocks)
    body = with_captions(body)
    front = Front(front.title, front.lines, front.issuer, front.doc_no, {**source.labels, **front.labels})
    facts = find_facts(front, body, stem)
    signature = find_signature(body)
    signed = range(signature.first, signature.last + 1) if signature else range(0)
    head = [Part(line, ()) for line in front.lines]
    parts = [*head, *outline(body, facts.title, signed)]
    if not parts and front.title:  # a cover: its title is all there is
        parts = [Part(Paragraph(front.title), ())]
    return facts, parts, dropped


def _doubts(pieces: Sequence[Piece], limits: Limits) -> list[Words]:
    over = sum(piece.tokens > limits.hard for piece in pieces)
    return [Words(f"{over} 个段落超过上限", f"{over} passages are over the hard limit")] if over else []
