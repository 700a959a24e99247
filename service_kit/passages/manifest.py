"""Which file holds which passage, and what an unfinished run may have left in the index.

The index and the manifest can not be committed together. So an id is marked as pending before the index gets it
and the mark is taken away when files and index agree again. After a crash the pending ids are exactly those about which
they may disagree, and the next run settles them: held by no file, out of the index; held, stored again.
"""

import os
import sqlite3
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from typing import Any, NamedTuple

FILE_NAME = "manifest.sqlite"
"""Of the index that is searched; see `manifests.py` for others."""
_SCHEMA = """
PRAGMA cache_spill = OFF;  -- would lock readers out while the index commits, see `Manifest.record`
CREATE TABLE IF NOT EXISTS files (directory BLOB, file BLOB, id TEXT NOT NULL, PRIMARY KEY (directory, file))
    WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS holders ON files (id);
CREATE TABLE IF NOT EXISTS pending (directory BLOB, id TEXT, PRIMARY KEY (directory, id)) WITHOUT ROWID;
    -- id: those that were marked together, with spaces between; a row each takes half as long as to read the files
CREATE TABLE IF NOT EXISTS facts (name TEXT PRIMARY KEY, value TEXT NOT NULL) WITHOUT ROWID;
"""


_AT_ONCE = 500
"""Values of one statement; SQLite before 3.32 takes 999."""


class Holder(NamedTuple):
    """One file: the indexed directory (absolute) and the path below it."""

    directory: Path
    file: str


class Manifest:
    """A SQLite file beside the index. For one process at a time, which holds the indexing lock.

    Files are told by their paths below the directory, as strings of `os`. All paths are kept as the bytes that the file
    system uses: names from other systems are often no UTF-8.
    Every method that writes is one transaction.
    """

    def __init__(self, data: Path, name: str = FILE_NAME) -> None:
        path = data / name
        try:
            self._db = _open(path)
        except sqlite3.DatabaseError as error:
            if isinstance(error, sqlite3.OperationalError):  # no access, disk full
                raise
            path.unlink()  # no database: nothing is known any more, as if it had been deleted
            self._db = _open(path)

    @classmethod
    def peek(cls, data: Path, name: str = FILE_NAME) -> "Manifest | None":
        """To read only; None when there is none, none that can be read, or one that is not yet any index's."""
        try:
            db = sqlite3.connect(f"{(data / name).absolute().as_uri()}?mode=ro", uri=True)
        except sqlite3.OperationalError:
            return None
        try:
            known = db.execute("SELECT count(*) FROM facts WHERE name = 'index_id'").fetchone()[0] > 0
        except sqlite3.DatabaseError:
            known = False
        if not known:
            db.close()
            return None
        manifest = cls.__new__(cls)
        manifest._db = db
        return manifest

    def close(self) -> None:
        self._db.close()

    @property
    def index_id(self) -> str | None:
        """Of the index that this is the manifest of; None as long as it is none's."""
        row = self._db.execute("SELECT value FROM facts WHERE name = 'index_id'").fetchone()
        return str(row[0]) if row else None

    def describes(self, index_id: str) -> bool:
        """Whether this is the manifest of that index."""
        return self.index_id == index_id

    def copy_to(self, path: Path) -> None:
        """Write all of it into a new file."""
        self._db.execute("VACUUM INTO ?", (str(path),))

    def reset(self, index_id: str) -> None:
        """Forget everything: the index of that id is empty."""
        with self._db:
            self._db.execute("DELETE FROM files")
            self._db.execute("DELETE FROM pending")
            self._db.execute("REPLACE INTO facts VALUES ('index_id', ?)", (index_id,))

    def files(self, directory: Path) -> dict[str, str]:
        """File -> id of one directory."""
        rows = self._db.execute("SELECT file, id FROM files WHERE directory = ?", (bytes(directory),))
        return {os.fsdecode(file): passage_id for file, passage_id in rows}

    def directories(self) -> list[Path]:
        return [_path(row[0]) for row in self._db.execute("SELECT DISTINCT directory FROM files ORDER BY directory")]

    def passages(self) -> int:
        """How many different ids the files of all directories hold."""
        return int(self._db.execute("SELECT count(DISTINCT id) FROM files").fetchone()[0])

    def ids(self) -> set[str]:
        """Of all passages that a file holds or that the next run will settle."""
        ids = {row[0] for row in self._db.execute("SELECT id FROM files")}
        return ids.union(*(row[0].split() for row in self._db.execute("SELECT id FROM pending")))

    def holder(self, passage_id: str) -> Holder | None:
        """The first file, of any directory, that holds this passage."""
        row = self._db.execute(
            "SELECT directory, file FROM files WHERE id = ? ORDER BY directory, file LIMIT 1", (passage_id,)
        ).fetchone()
        return Holder(_path(row[0]), os.fsdecode(row[1])) if row else None

    def held(self, ids: Iterable[str]) -> set[str]:
        """Those of the ids that a file, of any directory, is known to hold."""
        if self._db.execute("SELECT 1 FROM files LIMIT 1").fetchone() is None:
            return set()
        return {row[0] for row in self._among("SELECT DISTINCT id FROM files WHERE id IN ({})", (), ids)}

    def is_first_holder(self, directory: Path, file: str, passage_id: str) -> bool:
        """Whether no file that comes before this one is known to hold the passage."""
        row = self._db.execute(
            "SELECT 1 FROM files WHERE id = ? AND (directory, file) < (?, ?) LIMIT 1",
            (passage_id, bytes(directory), os.fsencode(file)),
        ).fetchone()
        return row is None

    def mark_pending(self, directory: Path, ids: Iterable[str]) -> None:
        """Before the index gets these."""
        with self._db:
            self._mark(directory, ids)

    def record(
        self,
        directory: Path,
        files: Mapping[str, str],
        stored: Iterable[str],
        commit_index: Callable[[], None] = lambda: None,
    ) -> None:
        """These files hold these ids. What they held before becomes pending.

        `commit_index` makes the index commit the ids in `stored`. It is called last, so that the index may work while
        all this is written, and only what it has committed is recorded: whatever it raises undoes the rest.
        """
        with self._db:
            self._unmark(directory, stored)
            self._let_go(directory, files)
            root = bytes(directory)
            rows = ((root, os.fsencode(file), passage_id) for file, passage_id in files.items())
            self._db.executemany("INSERT INTO files VALUES (?, ?, ?)", rows)
            commit_index()

    def remove(self, directory: Path, files: Iterable[str]) -> None:
        """These files are gone. What they held becomes pending."""
        with self._db:
            self._let_go(directory, files)

    def pending(self, directory: Path) -> list[str]:
        rows = self._db.execute("SELECT id FROM pending WHERE directory = ?", (bytes(directory),))
        return sorted({one for row in rows for one in row[0].split()})

    def settle(self, directory: Path, ids: Iterable[str]) -> None:
        """After the index has committed what became of these pending ids."""
        with self._db:
            self._unmark(directory, ids)

    def _let_go(self, directory: Path, files: Iterable[str]) -> None:
        if not self._knows(directory):
            return
        root = bytes(directory)
        asked = "SELECT file, id FROM files WHERE directory = ? AND file IN ({})"
        rows = [(root, file, passage_id) for file, passage_id in self._among(asked, (root,), map(os.fsencode, files))]
        self._mark(directory, [row[2] for row in rows])
        self._db.executemany("DELETE FROM files WHERE directory = ? AND file = ?", [row[:2] for row in rows])

    def _knows(self, directory: Path) -> bool:
        """Whether any file of the directory is known: the first run need not ask for each."""
        row = self._db.execute("SELECT 1 FROM files WHERE directory = ? LIMIT 1", (bytes(directory),)).fetchone()
        return row is not None

    def _mark(self, directory: Path, ids: Iterable[str]) -> None:
        if together := " ".join(ids):
            self._db.execute("INSERT OR IGNORE INTO pending VALUES (?, ?)", (bytes(directory), together))

    def _unmark(self, directory: Path, ids: Iterable[str]) -> None:
        if marked := self.pending(directory):
            self._db.execute("DELETE FROM pending WHERE directory = ?", (bytes(directory),))
            self._mark(directory, sorted(set(marked).difference(ids)))

    def _among(self, statement: str, before: tuple[bytes, ...], values: Iterable[str | bytes]) -> list[tuple[Any, ...]]:
        """The rows of a statement for all `values`, of which it takes some at once in place of `{}`."""
        rows: list[tuple[Any, ...]] = []
        wanted = list(values)
        for at in range(0, len(wanted), _AT_ONCE):
            some = wanted[at : at + _AT_ONCE]
            marks = ",".join("?" * len(some))
            rows += self._db.execute(statement.format(marks), (*before, *some)).fetchall()
        return rows


def _path(name: bytes) -> Path:
    return Path(os.fsdecode(name))


def _open(path: Path) -> sqlite3.Connection:
    db = sqlite3.connect(path)
    try:
        db.executescript(_SCHEMA)
    except sqlite3.DatabaseError:
        db.close()
        raise
    return db
