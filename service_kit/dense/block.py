"""Windows with their vectors as one array, in memory or mapped from a file: what a search reads."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from service_kit.dense.store import Rows
from service_kit.dense.vector_index import Likeness
from service_kit.dense.vectors import Matrix, Vector

Places = NDArray[np.int64]
"""Rows of a block."""


def record(dimension: int) -> np.dtype[Any]:
    """One window: its key in the store, its passage's id (at most 32 characters), which one it is, its vector."""
    return np.dtype([("key", "i8"), ("passage", "S32"), ("n", "i4"), ("vector", "f2", (dimension,))])


def as_records(rows: Rows) -> NDArray[Any]:
    """The windows of the store as an array of `record`s."""
    records = np.zeros(len(rows.windows), record(rows.vectors.shape[1]))
    records["key"] = [one.key for one in rows.windows]
    records["passage"] = [one.passage.encode() for one in rows.windows]
    records["n"] = [one.n for one in rows.windows]
    records["vector"] = rows.vectors
    return records


@dataclass(frozen=True)
class Block:
    """Windows in the order of their keys."""

    records: NDArray[Any]

    @classmethod
    def empty(cls, dimension: int) -> "Block":
        return cls(np.zeros(0, record(max(1, dimension))))

    @classmethod
    def mapped(cls, path: Path) -> "Block":
        """Raises OSError or ValueError when the file is not there or is damaged."""
        return cls(np.load(path, mmap_mode="r").view(np.ndarray))  # a memmap's own indexing is slow

    def __len__(self) -> int:
        return len(self.records)

    @property
    def dimension(self) -> int:
        shape: tuple[int, ...] = self.records.dtype["vector"].shape
        return shape[0]

    def prepare(self) -> None:
        """Work out now what the first search would else have to."""
        self.keys  # noqa: B018
        self._ranges  # noqa: B018

    @cached_property
    def keys(self) -> NDArray[np.int64]:
        return self.records["key"].copy()

    @cached_property
    def matrix(self) -> Matrix:
        """All vectors, to compare a question with each."""
        return self.records["vector"].astype(np.float32)

    def at_keys(self, keys: NDArray[np.integer]) -> Places:
        """Of keys that are all here."""
        return np.searchsorted(self.keys, keys.astype(np.int64))

    def of_passages(self, ids: Sequence[str]) -> Places:
        """All windows of these passages."""
        ranges = self._ranges
        found = [ranges[key] for one in ids if (key := one.encode()) in ranges]
        return np.fromiter((place for begin, end in found for place in range(begin, end)), np.int64)

    def likeness(self, places: Places, question: Vector) -> dict[str, Likeness]:
        """Of these windows the best of each passage."""
        some = self.records[places]
        cosines = some["vector"].astype(np.float32) @ question
        # The last one of a passage stays, so the best comes last, and of equal ones the first.
        order = np.argsort(-cosines, kind="stable")[::-1]
        best = dict(zip(some["passage"][order].tolist(), order.tolist(), strict=True))
        windows, values = some["n"].tolist(), cosines.tolist()
        return {one.decode(): Likeness(values[at], windows[at]) for one, at in best.items()}

    @cached_property
    def _ranges(self) -> dict[bytes, tuple[int, int]]:
        """Where each passage's windows begin and end: they were stored one after the other. Of a passage that went and
        came back, the later ones."""
        if not len(self):
            return {}
        passages = self.records["passage"].copy()
        starts = np.flatnonzero(np.concatenate([[True], passages[1:] != passages[:-1]]))
        ends = [*starts[1:].tolist(), len(self)]
        return dict(zip(passages[starts].tolist(), zip(starts.tolist(), ends, strict=True), strict=True))
