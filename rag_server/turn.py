"""The values that travel through the pipeline. All frozen; each stage makes new ones."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import Literal, NamedTuple

from service_kit.generation import FinishReason, Sampling, Usage
from service_kit.words import Lang

AnswerMode = Literal["generate", "extract", "refuse"]


@dataclass(frozen=True)
class Message:
    """One entry of a session's history. `standalone` is the question as it was searched: of users' messages only, and
    only when it was answered, so that a refused question never lends its topic to the next one."""

    role: Literal["user", "assistant"]
    content: str
    standalone: str | None = None


class SessionKey(NamedTuple):
    """Which session, and who asks for it: `owner` stands for the caller's API key, empty while keys are off."""

    id: str
    owner: str = ""


@dataclass(frozen=True)
class Asked:
    """A question as it came in, with what its caller said about answering it."""

    session: SessionKey
    query: str
    trace_id: str
    system: str = ""
    """What a caller of the OpenAI route wants the model to heed; other routes have none."""
    sampling: Sampling = field(default_factory=Sampling)


@dataclass(frozen=True)
class Understood:
    """A question, and the form of it that can be understood without the history."""

    query: str
    new_query: str
    lang: Lang
    context: str = ""
    """What was answered in the turn that this one goes on from; empty where there is none."""
    completed: str = ""
    """Another form of the question to be searched beside it: the one made without a model where `new_query` is the
    model's; of a short question that seems to stand alone, what it would be if it did not. Else empty."""
    dialogue: str = ""
    """The session's last questions and this one, as they were asked; empty where there is no turn to go on from."""


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
    """Between 0 and 1, comparable between questions: by words alone."""
    ranked_by: float | None = None
    """What the search ranked it by, words and meaning; None when it does not say."""

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
    mode: str = "lexical"
    """How the passages were found: es_search's `retrieval_mode`."""
    scored: bool = True
    """Whether the search service gives scores; the tutorial's does not."""
    apart: tuple[tuple[str, tuple[Evidence, ...]], ...] = ()
    """Where several searches were fused into `evidence`: what each full form of the question found itself."""


NOTHING_RETRIEVED = Retrieved((), MappingProxyType({}), "none")
"""What there is before the search."""


@dataclass(frozen=True)
class Quote:
    """A sentence of evidence `n`: `start` and `end` count code points of its text; `coverage` is 0 to 1."""

    n: int
    start: int
    end: int
    text: str
    coverage: float


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


@dataclass(frozen=True)
class Answer:
    """What the user reads, how it was made, the sentences that it quotes, and what he should know about it."""

    text: str
    mode: AnswerMode
    quotes: tuple[Quote, ...] = ()
    notices: tuple[str, ...] = ()
    sentences: tuple[CheckedSentence, ...] = ()
    finish_reason: FinishReason = "stop"
    usage: Usage = field(default_factory=Usage)
    stopped: bool = False
    """The user stopped it: `text` is as far as it came."""


@dataclass(frozen=True)
class Shown:
    """A passage with the spans of its text to look at: code points, [start, end)."""

    evidence: Evidence
    highlights: tuple[tuple[int, int], ...]


@dataclass(frozen=True)
class Turn:
    """One question with all that was made of it."""

    asked: Asked
    understood: Understood
    retrieved: Retrieved
    shown: tuple[Shown, ...]
    """The passages that the answer rests on; none when it refuses."""
    answer: Answer
    timings: Mapping[str, float]
    """Milliseconds of each stage that was reached."""

    @property
    def refused(self) -> bool:
        return self.answer.mode == "refuse"

    @property
    def answer_mode(self) -> Literal["generate", "extract"]:
        """A refusal is no generation."""
        return "generate" if self.answer.mode == "generate" else "extract"

    @property
    def docs(self) -> tuple[str, ...]:
        """The passages that the answer rests on, as the tutorial shows them."""
        return tuple(shown.evidence.content for shown in self.shown)

    @property
    def found(self) -> tuple[str, ...]:
        """The passages that were found, shown or not."""
        return tuple(e.content for e in self.retrieved.evidence)
