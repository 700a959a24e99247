"""Vectors kept between runs of a measuring tool, in a SQLite file, under the hash of model, kind and text."""

import hashlib
import sqlite3
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Literal

import numpy as np

from service_kit.deadline import Deadline
from service_kit.dense.embedder import Embedder
from service_kit.dense.vectors import Matrix, Vector, to_bytes

_SCHEMA = "CREATE TABLE IF NOT EXISTS vectors (key BLOB PRIMARY KEY, vector BLOB NOT NULL) WITHOUT ROWID"


class CachedEmbedder:
    """An embedder that asks another one only for what it has not seen. For one thread."""

    def __init__(self, embedder: Embedder, path: Path) -> None:
        self._embedder = embedder
        self._db = sqlite3.connect(path, timeout=60)
        self._db.execute(_SCHEMA)
        self.identity = embedder.identity

    def embed_query(self, question: str, deadline: Deadline) -> Vector:
        vector: Vector = self._cached(
            "q", [question], lambda texts: self._embedder.embed_query(texts[0], deadline)[None]
        )[0]
        return vector

    def embed_passages(self, texts: Sequence[str]) -> Matrix:
        return self._cached("p", texts, self._embedder.embed_passages)

    def known_passages(self, texts: Sequence[str]) -> Matrix | None:
        """Their vectors, unless one of them would have to be made."""
        rows = [row for text in texts if (row := self._look(self._key("p", text)))]
        return np.stack([_vector(row) for row in rows]) if len(rows) == len(texts) else None

    def close(self) -> None:
        self._db.close()
        self._embedder.close()

    def _cached(
        self, kind: Literal["q", "p"], texts: Sequence[str], embed: Callable[[Sequence[str]], Matrix]
    ) -> Matrix:
        keys = [self._key(kind, text) for text in texts]
        rows = [self._look(key) for key in keys]
        missing = [at for at, row in enumerate(rows) if row is None]
        made = dict(zip(missing, embed([texts[at] for at in missing]), strict=True)) if missing else {}
        with self._db:
            new = [(keys[at], to_bytes(vector)) for at, vector in made.items()]
            self._db.executemany("INSERT OR IGNORE INTO vectors VALUES (?, ?)", new)
        return np.stack([made[at] if row is None else _vector(row) for at, row in enumerate(rows)])

    def _look(self, key: bytes) -> bytes | None:
        row = self._db.execute("SELECT vector FROM vectors WHERE key = ?", (key,)).fetchone()
        return row[0] if row else None

    def _key(self, kind: str, text: str) -> bytes:
        return hashlib.blake2b(f"{self.identity}\0{kind}\0{text}".encode(), digest_size=16).digest()


def _vector(row: bytes) -> Vector:
    return np.frombuffer(row, np.float16).astype(np.float32)
