"""The values that travel through the pipeline. All frozen; each stage makes new ones."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from service_kit.words import Lang

AnswerMode = Literal["generate", "extract", "refuse"]


@dataclass(frozen=True)
class Message:
    """One entry of a session's history. `standalone` is the question as it was searched (users' messages only)."""

    role: Literal["user", "assistant"]
    content: str
    standalone: str | None = None


@dataclass(frozen=True)
class Understood:
    """A question, and the form of it that can be understood without the history."""

    query: str
    new_query: str
    lang: Lang


@dataclass(frozen=True)
class Evidence:
    """One retrieved passage, numbered from 1 as the answer cites it."""

    n: int
    title: str
    text: str
    source: str | None
    doc_no: str | None
    date: str | None
    path: str | None
    repealed: str | None
    """When the document was repealed, or its status when that says so without a date; None while it is in force."""
    score: float
    """Between 0 and 1, comparable between questions."""

    @property
    def content(self) -> str:
        """What `docs` shows: title, newline, passage."""
        return f"{self.title}\n{self.text}"


@dataclass(frozen=True)
class Retrieved:
    """The passages found, best first, and how rare each word of the question is (idf in this index)."""

    evidence: tuple[Evidence, ...]
    idf: Mapping[str, float]
    engine: str


@dataclass(frozen=True)
class Quote:
    """A sentence of evidence `n`: `start` and `end` count code points of its text; `coverage` is 0 to 1."""

    n: int
    start: int
    end: int
    text: str
    coverage: float


@dataclass(frozen=True)
class Answer:
    """What the user reads, how it was made, the sentences that it quotes, and what he should know about it."""

    text: str
    mode: AnswerMode
    quotes: tuple[Quote, ...] = ()
    notices: tuple[str, ...] = ()


@dataclass(frozen=True)
class CheckedSentence:
    """A sentence of the answer, as it was written, and whether the passages that it cites support it."""

    text: str
    cites: tuple[int, ...]
    """Numbers of its passages. With `added`, the mark that it lacked: the one passage that clearly supports it."""
    verified: bool
    added: bool
    reason: str | None
    """Why it is not verified."""
