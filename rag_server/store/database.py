"""The SQLite file that holds sessions and trail, and its numbered migrations."""

import sqlite3
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from service_kit.errors import DependencyDown, SettingsError

FILE_NAME = "rag.sqlite3"
BUSY_TIMEOUT_S = 10.0


def _m001_sessions_and_trail(db: sqlite3.Connection) -> None:
    db.execute("CREATE TABLE sessions (id TEXT PRIMARY KEY, last_access REAL NOT NULL) WITHOUT ROWID")
    db.execute(
        """CREATE TABLE messages (
            n INTEGER PRIMARY KEY, session_id TEXT NOT NULL REFERENCES sessions (id) ON DELETE CASCADE,
            role TEXT NOT NULL, content TEXT NOT NULL, standalone TEXT)"""
    )
    db.execute("CREATE INDEX messages_of_session ON messages (session_id, n)")
    db.execute("CREATE INDEX sessions_by_access ON sessions (last_access)")
    db.execute(
        """CREATE TABLE trail (
            n INTEGER PRIMARY KEY, trace_id TEXT NOT NULL, session_id TEXT NOT NULL, time REAL NOT NULL,
            query TEXT NOT NULL, new_query TEXT NOT NULL, docs TEXT NOT NULL, response TEXT NOT NULL,
            retrieval TEXT NOT NULL, answer_mode TEXT NOT NULL)"""
    )


def _m002_owners_titles_feedback(db: sqlite3.Connection) -> None:
    # Until now a key's sessions had its tag before their ids. They end with the update, as they do after an idle hour.
    tagged = "[0-9a-f]" * 16 + "/*"
    db.execute("DELETE FROM messages WHERE session_id GLOB ?", (tagged,))
    db.execute("DELETE FROM sessions WHERE id GLOB ?", (tagged,))
    for column in ("owner TEXT NOT NULL DEFAULT ''", "title TEXT", "created REAL NOT NULL DEFAULT 0"):
        db.execute(f"ALTER TABLE sessions ADD COLUMN {column}")
    db.execute("UPDATE sessions SET created = last_access")
    db.execute("CREATE INDEX sessions_of_owner ON sessions (owner, last_access)")
    for column in (
        "owner TEXT NOT NULL DEFAULT ''",
        "refused INTEGER NOT NULL DEFAULT 0",
        "stopped INTEGER NOT NULL DEFAULT 0",
    ):
        db.execute(f"ALTER TABLE trail ADD COLUMN {column}")
    db.execute("CREATE INDEX trail_by_time ON trail (time)")
    db.execute("CREATE INDEX trail_by_trace ON trail (trace_id)")
    db.execute("CREATE INDEX trail_of_session ON trail (session_id)")
    db.execute(
        """CREATE TABLE feedback (
            n INTEGER PRIMARY KEY REFERENCES trail (n) ON DELETE CASCADE,
            score REAL NOT NULL, comment TEXT, time REAL NOT NULL)"""
    )


MIGRATIONS: tuple[Callable[[sqlite3.Connection], None], ...] = (
    _m001_sessions_and_trail,
    _m002_owners_titles_feedback,
)
"""In order; the file's `user_version` counts those applied. Never changed once released, only added to."""


class Database:
    """One connection per thread to the same file, in WAL mode: readers never wait for the writer."""

    def __init__(self, folder: Path) -> None:
        folder.mkdir(parents=True, exist_ok=True)
        self.path = folder / FILE_NAME
        self._local = threading.local()
        self._writing = threading.Lock()
        self._migrate()

    def connection(self) -> sqlite3.Connection:
        """This thread's connection."""
        found: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if found is None:
            found = sqlite3.connect(self.path, timeout=BUSY_TIMEOUT_S)
            found.execute("PRAGMA journal_mode = WAL")
            # In WAL mode NORMAL loses nothing on kill -9; only a power cut can drop the last turns.
            found.execute("PRAGMA synchronous = NORMAL")
            found.execute("PRAGMA foreign_keys = ON")
            self._local.connection = found
        return found

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """This thread's connection for one transaction, or for a part of the one that is open already.

        Raises:
            DependencyDown: the file can not be written or read; nothing of the transaction is kept.
        """
        with self._failing_as_dependency():
            db = self.connection()
            if db.in_transaction:
                yield db
                return
            # SQLite lets writers that meet sleep before they try again; the lock wakes the next one of this process.
            with self._writing, db:
                db.execute("BEGIN IMMEDIATE")
                yield db

    @contextmanager
    def reading(self) -> Iterator[sqlite3.Connection]:
        """This thread's connection for reads only: waits for no writer. Raises DependencyDown as `transaction`."""
        with self._failing_as_dependency():
            yield self.connection()

    @contextmanager
    def _failing_as_dependency(self) -> Iterator[None]:
        try:
            yield
        except sqlite3.Error as error:
            raise DependencyDown(
                f"会话数据库 {self.path} 不可用：{error}",
                f"The sessions' database {self.path} can not be used: {error}",
                details={"dependency": "database"},
            ) from error

    def close(self) -> None:
        """Close this thread's connection."""
        found: sqlite3.Connection | None = getattr(self._local, "connection", None)
        if found is not None:
            found.close()
            self._local.connection = None

    def _migrate(self) -> None:
        with self.connection() as db:
            db.execute("BEGIN IMMEDIATE")  # two servers that start at once must not both migrate
            applied: int = db.execute("PRAGMA user_version").fetchone()[0]
            if applied > len(MIGRATIONS):
                raise SettingsError(
                    f"{self.path} 是更新版本的 Yiju 写的", f"{self.path} was written by a newer version of Yiju"
                )
            for migration in MIGRATIONS[applied:]:
                migration(db)
            db.execute(f"PRAGMA user_version = {len(MIGRATIONS)}")
