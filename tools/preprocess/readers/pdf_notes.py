"""Footnotes of a PDF page: small lines at its foot, and the raised numbers in the text that refer to them.

Raised numbers are looked for while the page is open; which lines are notes is decided when heads and feet are known.
"""

import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace

from tools.preprocess.readers import notes
from tools.preprocess.readers.lines import Line
from tools.preprocess.readers.pdf_page import PageReader, PlacedLine
from tools.preprocess.structure.text import join_lines, tidy

_SMALL = 0.92
_RAISED = 0.8
"""Size of a raised number relative to its line."""
_NOTE = re.compile(r"([①-⑳]|[\[〔（(]\s*\d{1,2}\s*[\]〕）)]|\d{1,2}|[*＊])[\s\u3000.．、]*(\S.*)")
_NUMBER = re.compile(r"[①-⑳]|[\[〔]\d{1,2}[\]〕]|\d{1,2}")
_BRACKETS = "[]〔〕（）() "


@dataclass(frozen=True)
class Raised:
    """Where in a line a number stands that may refer to a note."""

    start: int
    end: int
    name: str


def find_raised(page: PageReader, lines: Sequence[PlacedLine], body_size: float) -> dict[Line, tuple[Raised, ...]]:
    """Raised numbers by line; only looked for when there are small lines that may be notes."""
    names = {
        found[1].strip(_BRACKETS)
        for placed in lines
        if placed.line.size < _SMALL * body_size and (found := _NOTE.fullmatch(placed.line.text.strip()))
    }
    if not names:
        return {}
    raised = {}
    for placed in lines:
        if placed.line.size >= _SMALL * body_size and (hits := tuple(_in_line(page, placed, names))):
            raised[placed.line] = hits
    return raised


def _in_line(page: PageReader, placed: PlacedLine, names: Collection[str]) -> Iterator[Raised]:
    for hit in _NUMBER.finditer(page.text, placed.start, placed.end):
        name = hit.group().strip(_BRACKETS)
        if name in names and (_is_circled(name) or _is_raised(page, hit, placed.line)):
            # In the line's own text characters without Unicode are left out.
            lost = page.text.count("\0", placed.start, hit.start())
            start = hit.start() - placed.start - lost
            yield Raised(start, start + len(hit.group()), name)


def take_notes(
    lines: Sequence[Line], raised: Mapping[Line, Sequence[Raised]], body_size: float
) -> tuple[list[Line], dict[str, str]]:
    """The lines of one page, marked where they refer to notes, and these by name. What nothing refers to stays."""
    foot = _foot(lines, body_size)
    found = _texts(foot)
    referred = {one.name for line in lines for one in raised.get(line, ())}
    if not found or set(found) - referred:
        return list(lines), {}
    page = lines[0].page
    seen: set[str] = set()
    marked = []
    for line in lines:
        if line in foot:
            continue
        text, at = "", 0
        for one in raised.get(line, ()):
            if one.name in found and one.name not in seen:
                seen.add(one.name)
                text += line.text[at : one.start] + notes.mark(f"{page}:{one.name}")
                at = one.end
        marked.append(replace(line, text=text + line.text[at:]) if at else line)
    return marked, {f"{page}:{name}": text for name, text in found.items()}


def _foot(lines: Sequence[Line], body_size: float) -> list[Line]:
    """The small lines below the last one of usual size."""
    end = max((line.bottom for line in lines if line.size >= _SMALL * body_size), default=0.0)
    foot = [line for line in lines if line.size < _SMALL * body_size and line.top >= end - 1]
    return sorted(foot, key=lambda line: (round(line.top), line.x0))


def _texts(foot: Sequence[Line]) -> dict[str, str]:
    """Name -> text; empty when the first line does not begin as a note does."""
    found: dict[str, str] = {}
    name = None
    for line in foot:
        begins = _NOTE.fullmatch(line.text.strip())
        if begins and begins[1].strip(_BRACKETS) not in found:
            name = begins[1].strip(_BRACKETS)
            found[name] = begins[2]
        elif name is None:
            return {}
        else:
            found[name] = join_lines(found[name], line.text.strip())
    return {key: tidy(value) for key, value in found.items()}


def _is_circled(name: str) -> bool:
    return "①" <= name <= "⑳"


def _is_raised(page: PageReader, hit: re.Match[str], line: Line) -> bool:
    _, top, _, bottom = page.box(hit.start())
    return bottom - top < _RAISED * (line.bottom - line.top)
