"""The vectors of the index: a SQLite file that is the truth, from which everything else can be made anew.

A passage's windows come in one transaction and go in one, so a kill at any moment leaves each passage with all of its
vectors or with none. Passages are known by their ids, which change with their text: a vector is never out of date.
"""

import sqlite3
import threading
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path
from typing import NamedTuple

from service_kit.dense.vector_index import full_identity, of_another_length, of_another_model
from service_kit.dense.vectors import Matrix, from_bytes, to_bytes

FILE = "vectors.sqlite"
_SCHEMA = """
CREATE TABLE IF NOT EXISTS windows
    (key INTEGER PRIMARY KEY AUTOINCREMENT, passage TEXT NOT NULL, n INTEGER NOT NULL, vector BLOB NOT NULL);
CREATE UNIQUE INDEX IF NOT EXISTS of_passage ON windows (passage, n);
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""


class Window(NamedTuple):
    """The n-th window of a passage, from 0; `key` grows with each that is stored and is never used again."""

    key: int
    passage: str
    n: int


class Rows(NamedTuple):
    """Windows and their vectors, row by row."""

    windows: list[Window]
    vectors: Matrix


class VectorStore:
    """Open for reading and writing; threads take turns. Writers must hold the filling lock.

    Facts are read by a connection of their own: each search asks for one, and must not wait while vectors are written.
    """

    def __init__(self, data: Path) -> None:
        data.mkdir(parents=True, exist_ok=True)
        self._db = sqlite3.connect(data / FILE, check_same_thread=False, timeout=30)
        self._lock = threading.Lock()
        with self._lock, self._db:
            self._db.execute("PRAGMA journal_mode = WAL")
            # Not each commit waits for the disk: a crash of the machine may cost the last few, which are made again.
            self._db.execute("PRAGMA synchronous = NORMAL")
            self._db.executescript(_SCHEMA)
        self._facts = sqlite3.connect(data / FILE, check_same_thread=False, timeout=30)
        self._facts_lock = threading.Lock()

    def close(self) -> None:
        with self._lock, self._facts_lock:
            self._db.close()
            self._facts.close()

    @property
    def dimension(self) -> int:
        """Numbers of a vector; 0 while there is none."""
        return int(self._fact("dimension") or 0)  # never remembered: another process may drop all

    def check_identity(self, identity: str, dimension: int | None = None) -> None:
        """Raises VectorsMismatch when the vectors here are another model's, or not of `dimension` numbers."""
        stored = self._fact("identity")
        if stored is not None and stored != full_identity(identity):
            raise of_another_model(stored, full_identity(identity))
        if dimension is not None and (length := self.dimension) not in (0, dimension):
            raise of_another_length(identity, dimension, length)

    def add(self, identity: str, passages: Mapping[str, Matrix]) -> None:
        """Store passages' windows, by passage id, as one transaction; a passage that is there already stays as it is.

        Raises:
            VectorsMismatch: the vectors here are another model's, or of another length.
        """
        if not passages:
            return
        dimension = next(iter(passages.values())).shape[1]
        self.check_identity(identity, dimension)
        rows = [(one, n, to_bytes(vector)) for one, matrix in passages.items() for n, vector in enumerate(matrix)]
        with self._lock, self._db:
            self._db.execute("INSERT OR IGNORE INTO facts VALUES ('identity', ?)", (full_identity(identity),))
            self._db.execute("INSERT OR IGNORE INTO facts VALUES ('dimension', ?)", (str(dimension),))
            self._db.executemany("INSERT OR IGNORE INTO windows (passage, n, vector) VALUES (?, ?, ?)", rows)

    def remove(self, passages: Iterable[str]) -> None:
        """Take passages' windows out, as one transaction."""
        with self._lock, self._db:
            self._db.executemany("DELETE FROM windows WHERE passage = ?", ((one,) for one in passages))

    def drop(self) -> None:
        """Forget all vectors and whose they were."""
        with self._lock, self._db:
            self._db.execute("DELETE FROM windows")
            self._db.execute("DELETE FROM facts")

    def passages(self) -> set[str]:
        """The ids of the passages that have their vectors."""
        with self._lock:
            return {row[0] for row in self._db.execute("SELECT DISTINCT passage FROM windows")}

    def count(self) -> tuple[int, int]:
        """How many passages and windows there are."""
        with self._lock:
            row = self._db.execute("SELECT count(DISTINCT passage), count(*) FROM windows").fetchone()
        return int(row[0]), int(row[1])

    def count_upto(self, key: int) -> int:
        """How many windows of keys up to this one are still there."""
        with self._lock:
            return int(self._db.execute("SELECT count(*) FROM windows WHERE key <= ?", (key,)).fetchone()[0])

    def count_after(self, key: int) -> int:
        """How many windows are stored after that key."""
        with self._lock:
            return int(self._db.execute("SELECT count(*) FROM windows WHERE key > ?", (key,)).fetchone()[0])

    def after(self, key: int, most: int) -> Rows:
        """The windows stored after that key, in the order in which they came, `most` at most."""
        with self._lock:
            rows = self._db.execute(
                "SELECT key, passage, n, vector FROM windows WHERE key > ? ORDER BY key LIMIT ?", (key, most)
            ).fetchall()
        return self._rows(rows)

    def fact(self, name: str) -> str | None:
        """What was kept with `set_fact`."""
        return self._fact(name)

    def set_fact(self, name: str, value: str) -> None:
        with self._lock, self._db:
            self._db.execute("REPLACE INTO facts VALUES (?, ?)", (name, value))

    def version(self) -> int:
        """Another number after another connection has written."""
        with self._lock:
            return int(self._db.execute("PRAGMA data_version").fetchone()[0])

    def _fact(self, name: str) -> str | None:
        with self._facts_lock:
            row = self._facts.execute("SELECT value FROM facts WHERE name = ?", (name,)).fetchone()
        return str(row[0]) if row else None

    def _rows(self, rows: Sequence[tuple[int, str, int, bytes]]) -> Rows:
        return Rows([Window(*row[:3]) for row in rows], from_bytes([row[3] for row in rows], self.dimension or 1))
