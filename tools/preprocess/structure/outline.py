"""Where each block stands: the headings above it, and which blocks belong to one article."""

import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, field
from operator import is_not

from service_kit.numerals import DATE
from tools.preprocess.blocks import Block, Paragraph, Table
from tools.preprocess.structure import marks
from tools.preprocess.structure.marks import Mark
from tools.preprocess.structure.text import squeeze

_COLOPHON = re.compile(
    rf"(?:抄送|抄报|主送|分送)\s*[:：].+|.{{0,40}}{DATE}\s*印发?|信息公开选项\s*[:：].*|（(?:此件|联系人).*）"
)
_LIST = re.compile(r"附件?\s*[:：]\s*\S")


@dataclass(frozen=True)
class Heading:
    """One step of a path."""

    rank: int
    text: str
    inline: bool
    """Whether the text is the beginning of the first paragraph below, not a line of its own."""


@dataclass(frozen=True)
class Part:
    """One block with its place."""

    block: Block
    path: tuple[Heading, ...]
    article: int | None = None
    """Parts with the same number are one article; None outside of articles."""


@dataclass
class _State:
    """The headings that are open while the blocks are walked."""

    decimals: bool
    """Whether the document numbers its headings 1, 1.1, 1.1.1."""
    stack: list[Heading] = field(default_factory=list)
    path: tuple[Heading, ...] = ()
    """The stack when a block was last put: the same object for all blocks of a part."""
    unused: list[tuple[Heading, int]] = field(default_factory=list)
    """Headings that no block has been put below yet, with their pages."""
    ranks: dict[str, int] = field(default_factory=dict)
    """Mark's kind -> the style's rank, when the file marks such headings by style."""
    next_article: int = 1
    articles: int = 0
    in_article: bool = False
    in_list: bool = False
    """Whether the lines are those of 附件：1.… 2.…"""

    def open(self, heading: Heading, page: int) -> Iterator[Part]:
        """Begin a part; what it closes without anything below comes out as a paragraph of its own."""
        yield from self.close(heading.rank)
        self.stack.append(heading)
        self.in_article = False
        if not heading.inline:
            self.unused.append((heading, page))

    def close(self, rank: int) -> Iterator[Part]:
        """End all parts that are as deep as `rank`, or deeper."""
        for heading, page in [pair for pair in self.unused if pair[0].rank >= rank]:
            above = tuple(one for one in self.stack if one.rank < heading.rank)
            yield Part(Paragraph(heading.text, page), above)
            self.unused.remove((heading, page))
        while self.stack and self.stack[-1].rank >= rank:
            self.stack.pop()

    def put(self, block: Block, article: int | None = None) -> Part:
        """A block below the open headings."""
        self.unused.clear()
        if len(self.path) != len(self.stack) or any(map(is_not, self.path, self.stack)):
            self.path = tuple(self.stack)
        return Part(block, self.path, article)


def outline(blocks: Sequence[Block], title: str, signature: range) -> list[Part]:
    """Every block with its path. `signature`: the indexes of the blocks that sign the text; they end an article."""
    paragraphs = [block.text for block in blocks if isinstance(block, Paragraph)]
    state = _State(decimals=sum(map(marks.is_decimal, paragraphs)) >= 2)
    parts: list[Part] = []
    at = 0
    while at < len(blocks):
        block = blocks[at]
        above = not signature or at < signature.start
        closing = at in signature or _is_colophon(block)
        if closing or _is_list_of_attachments(block, state, above):
            parts += state.close(marks.HIGHEST_DIVISION)
            state.in_article = False
            state.in_list = not closing
            parts.append(state.put(block))
        elif isinstance(block, Table):
            parts.append(state.put(block, state.articles if state.in_article else None))
        elif mark := marks.attachment(block.text):
            name, taken = _attachment_name(blocks, at, mark)
            parts += state.open(Heading(mark.rank, f"{mark.label} {name}".strip(), inline=False), block.page)
            state.next_article = 1
            at += taken
        else:
            parts += _paragraph(state, block, title)
        at += 1
    parts += state.close(0)
    return parts


def _paragraph(state: _State, block: Paragraph, title: str) -> Iterator[Part]:
    if found := marks.article(block.text, state.next_article):
        yield from state.open(Heading(found.rank, found.label, inline=True), block.page)
        state.next_article = found.number + 1
        state.articles += 1
        state.in_article = True
        yield state.put(block, state.articles)
        return
    mark = marks.division(block.text) or (None if state.in_article else marks.item(block.text, decimals=state.decimals))
    styled = 0 < block.heading <= 9 and marks.is_heading_text(block.text)
    if squeeze(block.text) == squeeze(title) and (styled or block.centred):
        state.next_article = 1
        yield from state.close(marks.HIGHEST_DIVISION)
        yield state.put(block)
        return
    if mark:
        rank = state.ranks.get(mark.kind, block.heading if styled else mark.rank)
        if styled:
            state.ranks.setdefault(mark.kind, rank)
        alone = marks.is_heading_text(mark.rest)
        text = block.text if alone else marks.heading_of(mark)
        yield from state.open(Heading(rank, text, inline=not alone), block.page)
        if not alone:
            yield state.put(block)
        return
    if styled and not state.in_article:
        yield from state.open(Heading(block.heading, block.text, inline=False), block.page)
        return
    yield state.put(block, state.articles if state.in_article else None)


def _is_colophon(block: Block) -> bool:
    """抄送：… and …印发, below all text."""
    return isinstance(block, Paragraph) and bool(_COLOPHON.fullmatch(block.text))


def _is_list_of_attachments(block: Block, state: _State, above_signature: bool) -> bool:
    """附件：1.… above the signature, and the lines 2.… below it: they list, and are no headings."""
    if not isinstance(block, Paragraph):
        return False
    mark = marks.item(block.text)
    if state.in_list and mark and mark.kind == "1." and mark.number > 1:
        return True
    state.in_list = False
    return above_signature and bool(_LIST.match(block.text))


def _attachment_name(blocks: Sequence[Block], at: int, mark: Mark) -> tuple[str, int]:
    """The title of an attachment, and how many of the blocks below its mark make it."""
    if mark.rest:
        return mark.rest, 0
    name, taken = "", 0
    for block in blocks[at + 1 : at + 4]:
        if not isinstance(block, Paragraph) or not marks.is_heading_text(block.text):
            break
        if marks.article(block.text, 1) or marks.division(block.text) or marks.item(block.text):
            break
        if taken and not (block.centred or name.count("《") > name.count("》")):
            break
        name, taken = name + block.text, taken + 1
    return name, taken
