"""Parts with their places -> pieces of the size of a passage. Pure functions.

An article is a piece, a table is one (or several, each with the header), and other paragraphs are put together up to
the target. Every piece begins with the headings above it, so that it can be understood alone.
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from itertools import groupby, takewhile

from tools.preprocess.blocks import Paragraph, Table
from tools.preprocess.splitting import in_shares, table_lines
from tools.preprocess.structure.captions import UNIT
from tools.preprocess.structure.marks import HIGHEST_DIVISION
from tools.preprocess.structure.outline import Heading, Part
from tools.preprocess.tokens import Count

_WHOLE_TABLE = 1.5
"""Of the target: up to which size a table is not cut."""
_SMALL_TAIL = 60
"""Tokens of a closing paragraph (a signature) that is rather added to the last passage than made one."""


@dataclass(frozen=True)
class Limits:
    """In tokens. Paragraphs are gathered up to `target`; title and text together never exceed `hard`."""

    target: int = 300
    hard: int = 1000


@dataclass(frozen=True)
class Piece:
    """The text of one passage."""

    path: tuple[str, ...]
    text: str
    first_page: int
    last_page: int
    tokens: int
    """Of title and text."""


def cut(parts: Sequence[Part], title: str, limits: Limits, count: Count) -> list[Piece]:
    """All pieces of a document, in its order."""
    cutter = _Cutter(title, limits, count)
    pieces: list[Piece] = []
    for unit, members in groupby(parts, key=_unit):
        group = list(members)
        if unit == "text":
            for run in cutter.runs(group):
                pieces += cutter.make(run)
        elif unit.startswith("table"):
            pieces += cutter.table(group[0])
        else:
            pieces += cutter.make(group)
    return pieces


def _unit(part: Part) -> str:
    if part.article is not None:
        return f"article {part.article}"
    return f"table {id(part)}" if isinstance(part.block, Table) else "text"


@dataclass(frozen=True)
class _Cutter:
    title: str
    limits: Limits
    count: Count

    def runs(self, parts: Sequence[Part]) -> Iterator[list[Part]]:
        """Paragraphs that make one passage each."""
        run: list[Part] = []
        size = 0
        for part in parts:
            tokens = self.count(_text(part))
            if run and not self._may_join(run[-1], part, size, tokens):
                yield run
                run, size = [], 0
            run.append(part)
            size += tokens
        if run:
            yield run

    def _may_join(self, last: Part, part: Part, size: int, tokens: int) -> bool:
        if _attachment(last) != _attachment(part):
            return False
        if len(part.path) < len(last.path) and not _below(part) and tokens <= _SMALL_TAIL:
            return size + tokens <= self.limits.hard // 2
        if size + tokens > self.limits.target:
            return False
        before, after = _below(last), _below(part)
        if before[:1] == after[:1] or not after:
            return True
        return after[0].inline and (not before or before[0].inline)

    def make(self, parts: Sequence[Part]) -> list[Piece]:
        """One piece, or several when it would exceed the hard limit."""
        lines = list(_lines(parts))
        context = _context(parts[0])
        # What a continuation begins with: all headings, also the one that the first paragraph itself begins with.
        again = [heading.text for heading in parts[0].path]
        room = self.limits.hard - self.count("\n".join([self.title, *again]))
        pieces = []
        chunks = in_shares(lines, max(room, self.limits.hard // 4), self.count)
        for n, chunk in enumerate(chunks):
            text = "\n".join([*(again if n else context), *(line for line, _, _ in chunk)])
            pages = [page for _, *span in chunk for page in span]
            path = _path(parts) if len(chunks) == 1 else tuple(heading.text for heading in parts[0].path)
            pieces.append(Piece(path, text, min(pages), max(pages), self.count(f"{self.title}\n{text}")))
        return pieces

    def table(self, part: Part) -> list[Piece]:
        """The rows, with the header on top of each piece."""
        table = part.block
        if not isinstance(table, Table):
            return []
        path = tuple(heading.text for heading in part.path)
        head, rows = table_lines(table)
        if self.count("\n".join(head)) > self.limits.hard // 2:  # no header at all, by its length
            head, rows = [], [*head, *rows]
        above = [*path, *([table.caption] if table.caption else []), *head]
        last = table.last_page or table.page
        small = self.count("\n".join(rows)) <= _WHOLE_TABLE * self.limits.target
        limit = self.limits.hard if small else self.limits.target
        room = max(limit - self.count("\n".join([self.title, *above])), self.limits.target // 3)
        chunks = in_shares([(row, table.page, last) for row in rows], room, self.count) or [[]]
        pieces = []
        for chunk in chunks:
            text = "\n".join([*above, *(row for row, _, _ in chunk)])
            name = (table.caption,) if table.caption and not UNIT.fullmatch(table.caption) else ()
            pieces.append(Piece((*path, *name), text, table.page, last, self.count(f"{self.title}\n{text}")))
        return pieces


def _text(part: Part) -> str:
    if isinstance(part.block, Paragraph):
        return part.block.text
    head, rows = table_lines(part.block)
    return "\n".join([*([part.block.caption] if part.block.caption else []), *head, *rows])


def _lines(parts: Sequence[Part]) -> Iterator[tuple[str, int, int]]:
    """The lines of a piece, each with its first and last page; a heading that opens between two parts comes too."""
    open_path = parts[0].path
    for part in parts:
        fresh = () if part.path is open_path else part.path[len(_common([open_path, part.path])) :]
        for heading in fresh:
            if not heading.inline:
                yield heading.text, part.block.page, part.block.page
        open_path = part.path
        last = part.block.last_page if isinstance(part.block, Table) else 0
        for line in _text(part).split("\n"):
            yield line, part.block.page, last or part.block.page


def _context(first: Part) -> list[str]:
    """The headings that stand above the first part, without the one that it begins with itself."""
    path = first.path
    if (
        path
        and path[-1].inline
        and isinstance(first.block, Paragraph)
        and first.block.text.startswith(path[-1].text[:2])
    ):
        path = path[:-1]
    return [heading.text for heading in path]


def _common(paths: Sequence[Sequence[Heading]]) -> tuple[Heading, ...]:
    """The headings that all paths begin with."""
    return tuple(
        level[0] for level in takewhile(lambda level: len(set(map(id, level))) == 1, zip(*paths, strict=False))
    )


def _path(parts: Sequence[Part]) -> tuple[str, ...]:
    """The path of a piece; of several sections below one heading: 一、… 至 三、…"""
    common = _common([part.path for part in parts])
    names = tuple(heading.text for heading in common)
    steps = [part.path[len(common)].text for part in parts if len(part.path) > len(common)]
    if not steps:
        return names
    return (*names, steps[0] if steps[0] == steps[-1] else f"{steps[0]} 至 {steps[-1]}")


def _attachment(part: Part) -> Heading | None:
    return next((heading for heading in part.path if heading.rank < HIGHEST_DIVISION), None)


def _below(part: Part) -> tuple[Heading, ...]:
    """The headings below the attachment."""
    return tuple(heading for heading in part.path if heading.rank >= HIGHEST_DIVISION)
