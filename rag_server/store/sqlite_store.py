"""The store of one rag_server: a SQLite file, which outlives a restart and a kill -9."""

import json
import sqlite3
import time
from collections.abc import Callable, Iterator
from contextlib import AbstractContextManager, nullcontext
from dataclasses import replace
from pathlib import Path
from typing import Any

from rag_server.store.database import Database
from rag_server.store.store import (
    EVER,
    HISTORY_LIMIT,
    TITLE_LENGTH,
    Entry,
    Feedback,
    Period,
    Session,
    new_id,
    no_session,
    no_turn,
)
from rag_server.store.turns import Turns
from rag_server.turn import Message, SessionKey
from service_kit.deadline import Deadline

_PAGE = 500
_FORGOTTEN_AT_ONCE = 100
"""Entries over their time that one turn takes out of the trail: many old ones must not hold up a single question."""
_TOUCH_AGAIN = 0.1
"""Share of `idle_s` that a session's last use may lie back before the begin of a turn writes it anew: nearly every turn
begins without writing, and its end, which writes all, still finds its session."""
_SESSION = """SELECT id, title, created, last_access,
    (SELECT count(*) FROM messages WHERE session_id = sessions.id) FROM sessions"""


class SqliteStore:
    """See `Store`.

    Args:
        idle_s: seconds without a question after which a session is forgotten.
        retention_s: age in seconds from which an entry leaves the trail; None keeps all.
    """

    def __init__(
        self, data: Path, idle_s: float, retention_s: float | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        self.database = Database(data)
        self._idle_s = idle_s
        self._retention_s = retention_s
        self._clock = clock
        self._turns = Turns()

    def one_turn(self, session_id: str, deadline: Deadline) -> AbstractContextManager[None]:
        return self._turns.one(session_id, deadline)

    def heeding_stops(self, session: SessionKey, stop: Callable[[], object]) -> AbstractContextManager[None]:
        return nullcontext()  # no other server has this file

    def stop_elsewhere(self, session: SessionKey) -> bool:
        return False

    def begin_turn(self, session: SessionKey) -> tuple[Message, ...]:
        now = self._clock()
        with self.database.reading() as db:
            row = db.execute("SELECT owner, last_access FROM sessions WHERE id = ?", (session.id,)).fetchone()
            if row is None or row[1] < now - self._idle_s:
                return ()
            if row[0] != session.owner:
                raise no_session()
            history = _history(db, session.id)
        if row[1] < now - self._idle_s * _TOUCH_AGAIN:
            with self.database.transaction() as db:
                db.execute("UPDATE sessions SET last_access = ? WHERE id = ?", (now, session.id))
        return history

    def record(self, entry: Entry, standalone: str | None) -> None:
        now, session = self._clock(), entry.session
        with self.database.transaction() as db:
            self._forget_idle(db)
            db.execute(
                """INSERT INTO sessions (id, owner, title, created, last_access) VALUES (?1, ?2, ?3, ?4, ?4)
                   ON CONFLICT (id) DO UPDATE SET last_access = ?4, title = coalesce(title, ?3)""",
                (*session, entry.query[:TITLE_LENGTH], now),
            )
            db.executemany(
                "INSERT INTO messages (session_id, role, content, standalone) VALUES (?, ?, ?, ?)",
                [(session.id, "user", entry.query, standalone), (session.id, "assistant", entry.response, None)],
            )
            db.execute(
                """DELETE FROM messages WHERE session_id = ?1 AND n <=
                   (SELECT n FROM messages WHERE session_id = ?1 ORDER BY n DESC LIMIT 1 OFFSET ?2)""",
                (session.id, HISTORY_LIMIT),
            )
            self._append(db, entry, now)

    def log(self, entry: Entry) -> None:
        with self.database.transaction() as db:
            self._append(db, entry, self._clock())

    def clear(self, session: SessionKey) -> None:
        with self.database.transaction() as db:
            if self._is_there(db, session):
                db.execute("DELETE FROM messages WHERE session_id = ?", (session.id,))

    def create(self, owner: str, title: str | None) -> Session:
        begun = Session(new_id(), title, now := self._clock(), now, 0)
        with self.database.transaction() as db:
            db.execute(
                "INSERT INTO sessions (id, owner, title, created, last_access) VALUES (?, ?, ?, ?, ?)",
                (begun.id, owner, title, now, now),
            )
        return begun

    def sessions(self, owner: str, limit: int) -> list[Session]:
        with self.database.transaction() as db:
            self._forget_idle(db)
            rows = db.execute(f"{_SESSION} WHERE owner = ? ORDER BY last_access DESC LIMIT ?", (owner, limit))
            return [Session(*row) for row in rows]

    def read(self, session: SessionKey) -> tuple[Session, tuple[Message, ...]]:
        with self.database.transaction() as db:
            return self._read(db, session), _history(db, session.id)

    def rename(self, session: SessionKey, title: str) -> Session:
        with self.database.transaction() as db:
            found = self._read(db, session)
            db.execute("UPDATE sessions SET title = ? WHERE id = ?", (title, session.id))
        return replace(found, title=title)

    def delete(self, session: SessionKey) -> None:
        with self.database.transaction() as db:
            self._read(db, session)
            db.execute("DELETE FROM sessions WHERE id = ?", (session.id,))

    def entries(self, period: Period = EVER, session_id: str | None = None) -> Iterator[dict[str, Any]]:
        last = 0
        while True:
            with self.database.reading() as db:
                rows = db.execute(
                    """SELECT n, trail.time, trace_id, session_id, query, new_query, docs, response, retrieval,
                       answer_mode, refused, stopped, score, comment FROM trail LEFT JOIN feedback USING (n)
                       WHERE n > :last AND (:since IS NULL OR trail.time >= :since)
                       AND (:until IS NULL OR trail.time < :until) AND (:session IS NULL OR session_id = :session)
                       ORDER BY n LIMIT :page""",
                    {**period._asdict(), "last": last, "session": session_id, "page": _PAGE},
                ).fetchall()
            yield from map(_shown, rows)
            if len(rows) < _PAGE:
                return
            last = rows[-1][0]

    def add_feedback(self, trace_id: str, owner: str, feedback: Feedback) -> None:
        with self.database.transaction() as db:
            row = db.execute(
                "SELECT n FROM trail WHERE trace_id = ? AND owner = ? ORDER BY n DESC LIMIT 1", (trace_id, owner)
            ).fetchone()
            if row is None:
                raise no_turn()
            db.execute(
                "REPLACE INTO feedback (n, score, comment, time) VALUES (?, ?, ?, ?)",
                (row[0], feedback.score, feedback.comment, self._clock()),
            )

    def check(self) -> dict[str, Any]:
        with self.database.reading() as db:
            db.execute("SELECT 1 FROM sessions LIMIT 1").fetchone()
        return {"store": "sqlite"}

    def close(self) -> None:
        self.database.close()

    def _is_there(self, db: sqlite3.Connection, session: SessionKey) -> bool:
        """Whether the session lives. Raises NotFound when it is another owner's."""
        self._forget_idle(db)
        row = db.execute("SELECT owner FROM sessions WHERE id = ?", (session.id,)).fetchone()
        if row and row[0] != session.owner:
            raise no_session()
        return row is not None

    def _read(self, db: sqlite3.Connection, session: SessionKey) -> Session:
        self._forget_idle(db)
        row = db.execute(f"{_SESSION} WHERE id = ? AND owner = ?", session).fetchone()
        if row is None:
            raise no_session()
        return Session(*row)

    def _forget_idle(self, db: sqlite3.Connection) -> None:
        db.execute("DELETE FROM sessions WHERE last_access < ?", (self._clock() - self._idle_s,))

    def _append(self, db: sqlite3.Connection, entry: Entry, now: float) -> None:
        db.execute(
            """INSERT INTO trail (trace_id, session_id, owner, time, query, new_query, docs, response, retrieval,
               answer_mode, refused, stopped) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)""",
            (
                entry.trace_id,
                *entry.session,
                now,
                entry.query,
                entry.new_query,
                json.dumps(entry.docs, ensure_ascii=False),
                entry.response,
                entry.retrieval,
                entry.answer_mode,
                entry.refused,
                entry.stopped,
            ),
        )
        if self._retention_s is not None:
            db.execute(
                "DELETE FROM trail WHERE n IN (SELECT n FROM trail WHERE time < ? ORDER BY time LIMIT ?)",
                (now - self._retention_s, _FORGOTTEN_AT_ONCE),
            )


def _history(db: sqlite3.Connection, session_id: str) -> tuple[Message, ...]:
    rows = db.execute(
        "SELECT role, content, standalone FROM messages WHERE session_id = ? ORDER BY n DESC LIMIT ?",
        (session_id, HISTORY_LIMIT),
    ).fetchall()
    return tuple(Message(*row) for row in reversed(rows))


def _shown(row: tuple[Any, ...]) -> dict[str, Any]:
    names = ("time", "trace_id", "session_id", "query", "new_query", "docs", "response", "retrieval", "answer_mode")
    _, *values, refused, stopped, score, comment = row
    entry = dict(zip(names, values, strict=True))
    entry["docs"] = json.loads(entry["docs"])
    feedback = None if score is None else {"score": score, "comment": comment}
    return entry | {"refused": bool(refused), "stopped": bool(stopped), "feedback": feedback}
