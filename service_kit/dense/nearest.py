"""Which windows are nearest to a question: an approximate index (HNSW, bytes for numbers) over most of the vectors, and
the newest ones compared one by one.

The index is a file made from the store and may be lost at any moment: it is written beside its predecessor and named in
the store when it is whole. A search holds no lock; it works on the state that was current when it began.
"""

import json
import logging
import os
import threading
import uuid
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from usearch.index import Index

from service_kit.dense.store import VectorStore
from service_kit.dense.vectors import Matrix, Vector, to_int8

logger = logging.getLogger(__name__)

CONNECTIVITY = 24
EXPANSION_ADD = 128
EXPANSION_SEARCH = 384
"""HNSW's M, efConstruction and ef. `python -m tools.bench_vectors` measures the recall that they give."""
TAIL = 4096
"""So many vectors are compared one by one (about a millisecond) before they move into the index."""
MOST_DEAD = 0.2
"""Share of removed windows above which the index is built from nothing: they take places in its answers."""
_CHUNK = 512
_FACT = "nearest"


@dataclass(frozen=True)
class _State:
    """`index` holds the windows up to key `upto`, as many as `size`; `keys` and `tail` (one row each) hold the rest."""

    file: str | None
    index: Index | None
    upto: int
    size: int
    keys: np.ndarray[Any, np.dtype[np.int64]]
    tail: Matrix


class Nearest:
    """Searches the windows of a store. Sees what was stored when `refresh` was last called."""

    def __init__(self, data: Path, store: VectorStore) -> None:
        self._data = data
        self._store = store
        self._lock = threading.Lock()
        self._state = _State(None, None, 0, 0, np.zeros(0, np.int64), np.zeros((0, 1), np.float32))

    def search(self, question: Vector, count: int) -> list[int]:
        """The keys of about the `count` nearest windows, in no order; some may have been removed meanwhile."""
        state = self._state
        found: list[int] = []
        if state.index is not None:
            matches = state.index.search(to_int8(question), min(count, state.size), threads=1)
            found += [int(key) for key in matches.keys]
        if len(state.keys):
            scores = state.tail @ question
            best = np.argpartition(-scores, count)[:count] if len(scores) > count else np.arange(len(scores))
            found += [int(key) for key in state.keys[best]]
        return found

    def refresh(self) -> None:
        """Take in what was stored since the last call; cheap when that is little."""
        with self._lock:
            state = self._state
            known = _read(self._store)
            if known["file"] != state.file or state.tail.shape[1] != max(1, self._store.dimension):
                state = self._open(known)
            last = int(state.keys[-1]) if len(state.keys) else state.upto
            keys, rows = [state.keys], [state.tail]
            while True:
                new = self._store.after(last, TAIL)
                if not new.windows:
                    break
                last = new.windows[-1].key
                keys.append(np.array([window.key for window in new.windows], np.int64))
                rows.append(new.vectors)
            rows = [row for row in rows if len(row)]
            tail = np.concatenate(rows) if rows else state.tail
            self._state = replace(state, keys=np.concatenate(keys), tail=tail)

    @property
    def tail(self) -> int:
        """How many windows are compared one by one."""
        return len(self._state.keys)

    def grow(self) -> None:
        """Move what is stored into the index file, or build it anew when much of it is gone. For the one writer; takes
        about half a millisecond a window."""
        known = _read(self._store)
        dead = known["size"] - self._store.count_upto(known["upto"])
        index, upto, size = None, 0, 0
        if known["file"] and dead <= MOST_DEAD * known["size"]:
            index, upto, size = (
                _load(self._data / known["file"], self._store.dimension, view=False),
                known["upto"],
                known["size"],
            )
        if index is None:
            upto, size = 0, 0
            index = _empty(self._store.dimension)
        while True:
            rows = self._store.after(upto, _CHUNK)
            if not rows.windows:
                break
            index.add(np.array([one.key for one in rows.windows], np.uint64), to_int8(rows.vectors), threads=1)
            upto, size = rows.windows[-1].key, size + len(rows.windows)
        self._publish(index, upto, size, known["file"])
        self.refresh()

    def _publish(self, index: Index, upto: int, size: int, before: str | None) -> None:
        name = f"vectors-{uuid.uuid4().hex[:12]}.usearch"  # another one each time: readers look for a new name
        part = self._data / f"{name}.part"
        index.save(str(part))
        with part.open("rb") as written:
            os.fsync(written.fileno())
        part.replace(self._data / name)
        self._store.set_fact(_FACT, json.dumps({"file": name, "upto": upto, "size": size}))
        for old in self._data.glob("vectors-*.usearch*"):
            if old.name not in (name, before):  # the one before may just be being opened
                old.unlink(missing_ok=True)

    def _open(self, known: dict[str, Any]) -> _State:
        index = _load(self._data / known["file"], self._store.dimension, view=True) if known["file"] else None
        none = np.zeros(0, np.int64), np.zeros((0, max(1, self._store.dimension)), np.float32)
        if index is None:  # a file that is lost or damaged: all are compared one by one until it is made again
            return _State(known["file"], None, 0, 0, *none)
        return _State(known["file"], index, known["upto"], known["size"], *none)


def _read(store: VectorStore) -> dict[str, Any]:
    fact = store.fact(_FACT)
    return json.loads(fact) if fact else {"file": None, "upto": 0, "size": 0}


def _empty(dimension: int) -> Index:
    return Index(
        ndim=dimension,
        metric="cos",
        dtype="i8",
        connectivity=CONNECTIVITY,
        expansion_add=EXPANSION_ADD,
        expansion_search=EXPANSION_SEARCH,
    )


def _load(path: Path, dimension: int, *, view: bool) -> Index | None:
    index = _empty(dimension)
    try:
        if view:
            index.view(str(path))
        else:
            index.load(str(path))
    except (RuntimeError, OSError, ValueError) as error:
        logger.warning("%s can not be read: %s", path, error)
        return None
    return index
