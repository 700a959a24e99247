"""The store as the pipeline and the routes see it, whatever stands behind."""

import json
import secrets
from collections.abc import Callable, Iterator, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass
from typing import Any, NamedTuple, Protocol

from rag_server.turn import Message, SessionKey
from service_kit.deadline import Deadline
from service_kit.errors import Conflict, NotFound

HISTORY_LIMIT = 30
"""Messages that a turn starts from; the tutorial's LLM_HISTORY_LEN."""
TURN_WAIT_S = 60.0
"""A second question of a session waits this long for the first one's answer."""
TITLE_LENGTH = 40
"""Characters of the first question that name a session until it is renamed."""
TUTORIAL_KEYS = ("query", "new_query", "docs", "response", "retrieval")
"""Of an entry in the tutorial's `history.json`."""


@dataclass(frozen=True)
class Session:
    """One session as its owner sees it in a list. Times are Unix seconds."""

    id: str
    title: str | None
    created: float
    last_access: float
    messages: int


@dataclass(frozen=True)
class Entry:
    """One answered question, as the trail keeps it."""

    trace_id: str
    session: SessionKey
    query: str
    new_query: str
    docs: tuple[str, ...]
    response: str
    retrieval: str
    answer_mode: str
    refused: bool = False
    stopped: bool = False
    """The answer was broken off by the user."""


@dataclass(frozen=True)
class Feedback:
    """What a user says of one answer."""

    score: float
    comment: str | None = None


class Period(NamedTuple):
    """From `since` (inclusive) to `until` (exclusive), Unix seconds; None leaves an end open."""

    since: float | None = None
    until: float | None = None


EVER = Period()


class Store(Protocol):
    """Safe to share between threads. Every method raises DependencyDown when what stands behind can not be used.

    A session belongs to the owner that began it: methods that take a key raise NotFound when it is another's.
    """

    def one_turn(self, session_id: str, deadline: Deadline) -> AbstractContextManager[None]:
        """Hold the session for one turn, so that a history never interleaves; one more may wait.

        Raises:
            Conflict: another question is waiting already, or the turn before took longer than TURN_WAIT_S.
            DeadlineExceeded: the caller's deadline came first.
        """

    def heeding_stops(self, session: SessionKey, stop: Callable[[], object]) -> AbstractContextManager[None]:
        """While this lasts `stop` is called, from any thread, when another server is told to stop the session."""

    def stop_elsewhere(self, session: SessionKey) -> bool:
        """Have the servers that share this store stop the session's turns; whether one of them had any."""

    def begin_turn(self, session: SessionKey) -> tuple[Message, ...]:
        """Keep the session from expiring during the turn and return its history: at most HISTORY_LIMIT messages, oldest
        first; none for an unknown or expired session."""

    def record(self, entry: Entry, standalone: str | None) -> None:
        """Add one turn to its session and to the trail, both or neither; on disk (as safe as the server makes it)
        when this returns. `standalone` is the question in full form, None when it set no topic."""

    def log(self, entry: Entry) -> None:
        """Add one turn that belongs to no session to the trail."""

    def clear(self, session: SessionKey) -> None:
        """Forget a session's history; the session stays its owner's, the trail keeps its turns."""

    def create(self, owner: str, title: str | None) -> Session:
        """Begin a session with an id that can not be guessed."""

    def sessions(self, owner: str, limit: int) -> list[Session]:
        """The owner's sessions, the last used first."""

    def read(self, session: SessionKey) -> tuple[Session, tuple[Message, ...]]:
        """One session with its history. Raises NotFound when there is none."""

    def rename(self, session: SessionKey, title: str) -> Session:
        """Raises NotFound when there is none."""

    def delete(self, session: SessionKey) -> None:
        """Forget the session altogether; the trail keeps its turns. Raises NotFound when there is none."""

    def entries(self, period: Period = EVER, session_id: str | None = None) -> Iterator[dict[str, Any]]:
        """The trail, oldest first, read page by page: an Entry's fields with `time`, `session_id` and `feedback`."""

    def add_feedback(self, trace_id: str, owner: str, feedback: Feedback) -> None:
        """Put it to the turn in place of what was said before. Raises NotFound: no such turn, or another owner's."""

    def check(self) -> dict[str, Any]:
        """Facts for `/readyz`."""

    def close(self) -> None:
        """Let go of connections."""


def new_id() -> str:
    """192 random bits."""
    return secrets.token_urlsafe(24)


def no_session() -> NotFound:
    return NotFound("没有这个会话", "There is no such session")


def no_turn() -> NotFound:
    return NotFound("没有这个 trace_id 的问答", "There is no turn with this trace_id")


def busy() -> Conflict:
    return Conflict(
        "该会话的上一个问题还在回答中，请稍后再问", "This session is still answering its last question", retry_after=2
    )


def as_tutorial(entry: Mapping[str, Any]) -> dict[str, Any]:
    """An entry with the keys of the tutorial's `history.json` only."""
    return {key: entry[key] for key in TUTORIAL_KEYS}


def as_json_array(entries: Iterator[Mapping[str, Any]]) -> Iterator[str]:
    """A JSON array piece by piece, however long the trail is."""
    yield "["
    before = "\n"
    for entry in entries:
        yield before + json.dumps(entry, ensure_ascii=False, indent=2)
        before = ",\n"
    yield "\n]\n"
