"""Sessions: the last messages of each conversation, forgotten after an hour without a question."""

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from threading import Condition

from rag_server.database import Database
from rag_server.turn import Message
from service_kit.deadline import Deadline
from service_kit.errors import Conflict

HISTORY_LIMIT = 30
"""Messages that a turn starts from; the tutorial's LLM_HISTORY_LEN."""
TURN_WAIT_S = 60.0
"""A second question of a session waits this long for the first one's answer."""


class Sessions:
    """Histories by session id in SQLite: they outlive a restart."""

    def __init__(self, database: Database, idle_s: float, clock: Callable[[], float] = time.time) -> None:
        self._database = database
        self._idle_s = idle_s
        self._clock = clock

    def begin_turn(self, session_id: str) -> tuple[Message, ...]:
        """Forget what has been idle for too long, mark this session as used, return its history.

        At most HISTORY_LIMIT messages, oldest first; none for an unknown or expired session.
        """
        now = self._clock()
        with self._database.transaction() as db:
            db.execute("DELETE FROM sessions WHERE last_access < ?", (now - self._idle_s,))
            db.execute("UPDATE sessions SET last_access = ? WHERE id = ?", (now, session_id))
            rows = db.execute(
                "SELECT role, content, standalone FROM messages WHERE session_id = ? ORDER BY n DESC LIMIT ?",
                (session_id, HISTORY_LIMIT),
            ).fetchall()
        return tuple(Message(*row) for row in reversed(rows))

    def append(self, session_id: str, query: str, standalone: str | None, response: str) -> None:
        """Add one turn's two messages; older ones than the last HISTORY_LIMIT go."""
        with self._database.transaction() as db:
            db.execute(
                "INSERT INTO sessions VALUES (?, ?) ON CONFLICT (id) DO UPDATE SET last_access = excluded.last_access",
                (session_id, self._clock()),
            )
            db.executemany(
                "INSERT INTO messages (session_id, role, content, standalone) VALUES (?, ?, ?, ?)",
                [(session_id, "user", query, standalone), (session_id, "assistant", response, None)],
            )
            db.execute(
                """DELETE FROM messages WHERE session_id = ?1 AND n <=
                   (SELECT n FROM messages WHERE session_id = ?1 ORDER BY n DESC LIMIT 1 OFFSET ?2)""",
                (session_id, HISTORY_LIMIT),
            )

    def clear(self, session_id: str) -> None:
        """Forget a session's history; the trail keeps its turns."""
        with self._database.transaction() as db:
            db.execute("DELETE FROM sessions WHERE id = ?", (session_id,))


class Turns:
    """One turn at a time for each session, so that a history never interleaves; one more may wait."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._busy: set[str] = set()
        self._waited_for: set[str] = set()

    @contextmanager
    def one(self, session_id: str, deadline: Deadline) -> Iterator[None]:
        """Hold the session for one turn.

        Raises:
            Conflict: another question is waiting already, or the turn before took longer than TURN_WAIT_S.
            DeadlineExceeded: the caller's deadline came first.
        """
        with self._changed:
            if session_id in self._busy:
                self._wait(session_id, deadline)
            self._busy.add(session_id)
        try:
            yield
        finally:
            with self._changed:
                self._busy.discard(session_id)
                self._changed.notify_all()

    def _wait(self, session_id: str, deadline: Deadline) -> None:
        # Were there more, the questions of one session could take all of the server's threads.
        if session_id in self._waited_for:
            raise _busy()
        self._waited_for.add(session_id)
        try:
            seconds = deadline.remaining(at_most=TURN_WAIT_S)
            if not self._changed.wait_for(lambda: session_id not in self._busy, timeout=seconds):
                deadline.remaining()
                raise _busy()
        finally:
            self._waited_for.discard(session_id)


def _busy() -> Conflict:
    return Conflict(
        "该会话的上一个问题还在回答中，请稍后再问", "This session is still answering its last question", retry_after=2
    )
