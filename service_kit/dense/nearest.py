"""Which passages are near to a question: an approximate index (HNSW, bytes for numbers) over most of the windows, and
the newest ones compared one by one.

Beside the index lie its windows as a file that is mapped: a search asks the database nothing. Both are made from the
store and may be lost at any moment: they are written beside their predecessors and named in the store when they are
whole. A search holds no lock; it works on the state that was current when it began.
"""

import json
import logging
import os
import threading
import uuid
from collections.abc import Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from usearch.index import Index

from service_kit.dense.block import Block, as_records, record
from service_kit.dense.store import VectorStore
from service_kit.dense.vector_index import Likeness
from service_kit.dense.vectors import Vector, to_int8

logger = logging.getLogger(__name__)

CONNECTIVITY = 16
EXPANSION_ADD = 256
EXPANSION_SEARCH = 288
"""HNSW's M, efConstruction and ef. Of the 100 nearest passages among 53,000 real windows ef 256 finds 0.983, 320 0.989.
M 24 with efConstruction 128 finds as many and looks at half as many again."""
TAIL = 4096
"""So many vectors are compared one by one (about a millisecond) before they move into the index."""
MOST_DEAD = 0.2
"""Share of removed windows above which the index is built from nothing: they take places in its answers."""
_CHUNK = 512
_FACT = "nearest"


@dataclass(frozen=True)
class _State:
    """`index` finds the keys of the windows of `block`, which are those up to key `upto`; `tail` holds the rest."""

    file: str | None
    index: Index | None
    upto: int
    block: Block
    tail: Block


class Nearest:
    """Searches the windows of a store. Sees what was stored when `refresh` was last called; windows that were removed
    are found until they are a fifth."""

    def __init__(self, data: Path, store: VectorStore) -> None:
        self._data = data
        self._store = store
        self._lock = threading.Lock()
        self._state = _State(None, None, 0, Block.empty(0), Block.empty(0))

    def search(self, question: Vector, count: int) -> dict[str, Likeness]:
        """The passages of about the `count` nearest windows, each with the best of these. None while vectors of another
        length, of which all were dropped and made anew, have not been taken in."""
        state = self._state
        found: dict[str, Likeness] = {}
        if state.index is not None and state.block.dimension == len(question):
            keys = state.index.search(to_int8(question), min(count, len(state.block)), threads=1).keys
            found = state.block.likeness(state.block.at_keys(keys), question)
        if len(state.tail) and state.tail.dimension == len(question):
            scores = state.tail.matrix @ question
            best = np.argpartition(-scores, count)[:count] if len(scores) > count else np.arange(len(scores))
            found = _better(found, state.tail.likeness(best, question))
        return found

    def likeness(self, question: Vector, passages: Sequence[str]) -> dict[str, Likeness]:
        """Of these passages, those that have vectors."""
        state = self._state
        blocks = [one for one in (state.block, state.tail) if len(one) and one.dimension == len(question)]
        return _better(*(block.likeness(block.of_passages(passages), question) for block in blocks))

    def refresh(self) -> None:
        """Take in what was stored since the last call; cheap when that is little."""
        with self._lock:
            state = self._state
            known = _read(self._store)
            if known["file"] != state.file or state.tail.dimension != max(1, self._store.dimension):
                state = self._open(known)
            last = int(state.tail.records["key"][-1]) if len(state.tail) else state.upto
            parts = [state.tail.records]
            while (new := self._store.after(last, TAIL)).windows:
                last = new.windows[-1].key
                parts.append(as_records(new))
            tail = Block(np.concatenate(parts)) if len(parts) > 1 else state.tail
            for block in (state.block, tail):
                block.prepare()
            self._state = replace(state, tail=tail)

    @property
    def tail(self) -> int:
        """How many windows are compared one by one."""
        return len(self._state.tail)

    def grow(self) -> None:
        """Move what is stored into the index file, or build it anew when much of it is gone. For the one writer; takes
        about a millisecond a window."""
        known = _read(self._store)
        state = self._open(known)
        index, upto, kept = None, state.upto, state.block
        if len(kept) and len(kept) - self._store.count_upto(upto) <= MOST_DEAD * len(kept):
            index = _load(self._data / known["file"], self._store.dimension, view=False)
        if index is None:
            index, upto, kept = _empty(self._store.dimension), 0, Block.empty(self._store.dimension)
        self._publish(index, upto, kept, known["file"])
        self.refresh()

    def _publish(self, index: Index, upto: int, kept: Block, before: str | None) -> None:
        """Write `kept` and what was stored after it, with its index."""
        name = f"vectors-{uuid.uuid4().hex[:12]}.usearch"  # another one each time: readers look for a new name
        size = len(kept) + self._store.count_after(upto)
        part = self._data / f"{name}.part"
        rows = np.lib.format.open_memmap(part, "w+", record(self._store.dimension), (size,))
        rows[: len(kept)] = kept.records
        at = len(kept)
        while at < size:
            new = self._store.after(upto, _CHUNK)
            index.add(np.array([one.key for one in new.windows], np.uint64), to_int8(new.vectors), threads=1)
            rows[at : at + len(new.windows)] = as_records(new)
            at, upto = at + len(new.windows), new.windows[-1].key
        rows.flush()
        _move(part, _rows_of(self._data / name))
        index.save(str(part))
        _move(part, self._data / name)
        self._store.set_fact(_FACT, json.dumps({"file": name, "upto": upto, "size": size}))
        for old in self._data.glob("vectors-*.*"):
            if old.stem not in (Path(name).stem, Path(before or "").stem):  # the one before may just be being opened
                old.unlink(missing_ok=True)

    def _open(self, known: dict[str, Any]) -> _State:
        none = Block.empty(self._store.dimension)
        if known["file"]:
            index = _load(self._data / known["file"], self._store.dimension, view=True)
            try:
                block = Block.mapped(_rows_of(self._data / known["file"]))
            except (OSError, ValueError) as error:
                logger.warning("%s can not be read: %s", known["file"], error)
                block = none
            if index is not None and len(block) == known["size"]:
                return _State(known["file"], index, known["upto"], block, none)
        # Lost or damaged: all are compared one by one until it is made again.
        return _State(known["file"], None, 0, none, none)


def _better(*found: dict[str, Likeness]) -> dict[str, Likeness]:
    """Of each passage the better one."""
    best: dict[str, Likeness] = {}
    for some in found:
        for one, like in some.items():
            if one not in best or like.cosine > best[one].cosine:
                best[one] = like
    return best


def _rows_of(index: Path) -> Path:
    return index.with_suffix(".npy")


def _move(part: Path, whole: Path) -> None:
    with part.open("rb") as written:
        os.fsync(written.fileno())
    part.replace(whole)


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
