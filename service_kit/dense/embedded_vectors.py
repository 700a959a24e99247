"""Vectors in files beside the embedded index: SQLite is the truth, an approximate index made of it is searched."""

import time
from collections.abc import Iterable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager, contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from service_kit.deadline import Deadline
from service_kit.dense.nearest import TAIL, Nearest
from service_kit.dense.store import VectorStore
from service_kit.dense.vector_index import WINDOWS_A_PASSAGE, Near
from service_kit.dense.vectors import Matrix, Vector

_WORTH_AN_INDEX = TAIL // 4
"""Windows that are left to be compared one by one when the work is done."""
_SETTLE_S = 1.0
"""Searches that go on meanwhile wait for the interpreter each time that new windows are taken in."""


class EmbeddedVectors:
    """See `VectorIndex`."""

    def __init__(self, data: Path) -> None:
        self.store = VectorStore(data)
        self.nearest = Nearest(data, self.store)
        self._data = data
        self._settled_at = -_SETTLE_S

    def check_identity(self, identity: str, dimension: int | None = None) -> None:
        self.store.check_identity(identity, dimension)

    def near(self, question: Vector, count: int, given: Sequence[str], deadline: Deadline) -> Near:
        deadline.remaining()
        found = self.nearest.search(question, WINDOWS_A_PASSAGE * count)
        best = sorted(found, key=lambda one: (-found[one].cosine, one))[:count]
        return Near({one: found[one] for one in best}, self.nearest.likeness(question, given))

    def filling(self, *, wait: bool) -> AbstractContextManager[bool]:
        return local_lock(self._data, wait=wait)

    def add(self, identity: str, passages: Mapping[str, Matrix]) -> None:
        self.store.add(identity, passages)

    def remove(self, passages: Iterable[str]) -> None:
        self.store.remove(passages)

    def drop(self) -> None:
        self.store.drop()

    def settle(self, *, finished: bool) -> None:
        if not finished and time.monotonic() - self._settled_at < _SETTLE_S:
            return
        self._settled_at = time.monotonic()
        self.nearest.refresh()
        if self.nearest.tail >= (_WORTH_AN_INDEX if finished else TAIL):
            self.nearest.grow()

    def refresh(self) -> None:
        self.nearest.refresh()

    def passages(self) -> set[str]:
        return self.store.passages()

    def count(self) -> tuple[int, int]:
        return self.store.count()

    def close(self) -> None:
        self.store.close()


@contextmanager
def local_lock(data: Path, *, wait: bool) -> Iterator[bool]:
    """One process of this data folder at a time; gives False when another one has it and `wait` is False."""
    data.mkdir(parents=True, exist_ok=True)
    lock = FileLock(data / "vectors.lock", timeout=-1 if wait else 0)
    try:
        lock.acquire()
    except Timeout:
        yield False
        return
    try:
        yield True
    finally:
        lock.release()
