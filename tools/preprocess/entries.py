"""What is known of one input after it was read: what the report shows, and what the next run compares with."""

from collections import Counter
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from typing import Any

from service_kit.words import Words
from tools.preprocess.pipeline import Document

MOST_DROPPED = 50
"""Dropped lines that a report quotes of one file."""


@dataclass(frozen=True)
class Fault:
    """Why a file gave no passages: the error's name and its words."""

    name: str
    reason: Words


@dataclass(frozen=True)
class Entry:
    """One input. Everything but `file` comes from its content alone."""

    file: str
    format: str = ""
    encoding: str | None = None
    pages: int = 0
    facts: Mapping[str, str | None] = field(default_factory=dict)
    tokens: tuple[int, ...] = ()
    """Of each passage."""
    dropped: Mapping[str, int] = field(default_factory=dict)
    """Kind -> lines."""
    dropped_lines: tuple[tuple[str, int, str], ...] = ()
    """Kind, page, text of the first MOST_DROPPED."""
    warnings: tuple[Words, ...] = ()
    fault: Fault | None = None

    def to_json(self) -> dict[str, Any]:
        shown = asdict(self)
        shown["warnings"] = [words._asdict() for words in self.warnings]
        shown["fault"] = {"name": self.fault.name, **self.fault.reason._asdict()} if self.fault else None
        return shown

    @classmethod
    def from_json(cls, data: Mapping[str, Any]) -> "Entry":
        fault = data["fault"]
        return cls(
            **{
                **data,
                "tokens": tuple(data["tokens"]),
                "dropped_lines": tuple((kind, page, text) for kind, page, text in data["dropped_lines"]),
                "warnings": tuple(Words(**words) for words in data["warnings"]),
                "fault": Fault(fault["name"], Words(fault["zh"], fault["en"])) if fault else None,
            }
        )


def entry_of(file: str, document: Document) -> Entry:
    """The entry of a file that was read."""
    kinds = Counter(line.kind for line in document.dropped)
    quoted = document.dropped[:MOST_DROPPED]
    return Entry(
        file, document.format, document.encoding, document.pages, asdict(document.facts),
        tuple(piece.tokens for piece in document.pieces), dict(sorted(kinds.items())),
        tuple((line.kind, line.page, line.text[:120]) for line in quoted), document.warnings,
    )  # fmt: skip
