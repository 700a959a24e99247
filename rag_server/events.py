"""What a turn tells while it is made; the last event is always `Done`."""

from dataclasses import dataclass
from typing import Literal

from rag_server.turn import CheckedSentence, Shown, Turn

Stage = Literal["understand", "retrieve", "answer", "restart"]


@dataclass(frozen=True)
class Status:
    """A stage begins. `restart`: the model broke; what was shown of the answer is withdrawn and it begins anew."""

    stage: Stage
    new_query: str | None = None
    """The question as it is searched, from `retrieve` on."""


@dataclass(frozen=True)
class EvidenceFound:
    """The passages that the answer will rest on; none when it will refuse."""

    shown: tuple[Shown, ...]


@dataclass(frozen=True)
class Delta:
    """A further piece of the answer; all pieces since the last restart together are the response's text."""

    text: str


@dataclass(frozen=True)
class SentenceChecked:
    """A sentence of the answer has ended and was checked."""

    sentence: CheckedSentence


@dataclass(frozen=True)
class Done:
    """The turn is answered and recorded."""

    turn: Turn


Event = Status | EvidenceFound | Delta | SentenceChecked | Done
