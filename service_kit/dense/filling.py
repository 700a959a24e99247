"""Gives every passage of the index its vectors: only those that have none yet, and takes out those of passages that are
gone. Killed at any moment, the next run goes on where this one was."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import Protocol

import numpy as np
from filelock import FileLock, Timeout

from service_kit.dense.embedder import Embedder
from service_kit.dense.nearest import TAIL, Nearest
from service_kit.dense.store import VectorStore
from service_kit.dense.vectors import Matrix
from service_kit.dense.windows import windows
from service_kit.passages.passage import Passage

_PASSAGES = 16
"""Passages of one transaction: what a kill loses of the work, at most."""
_BATCH = 64
"""Windows handed to the embedder at once."""
MOST_WINDOWS = 2000
"""Windows of one passage that are embedded, a quarter of a million characters."""
_WORTH_AN_INDEX = TAIL // 4
"""Windows that are left to be compared one by one when the work is done."""


class Source(Protocol):
    """What filling needs of the index of words."""

    def ids(self) -> set[str]:
        """The ids of all passages."""

    def fetch(self, ids: Sequence[str]) -> list[Passage]:
        """Those of these passages that are there."""


Progress = Callable[[int, int], None]
"""Gets how many passages have their vectors, and of how many."""


@contextmanager
def filling_lock(data: Path, *, wait: bool) -> Iterator[bool]:
    """Hold the right to write vectors; gives False when another process has it and `wait` is False."""
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


def fill(
    source: Source,
    embedder: Embedder,
    store: VectorStore,
    nearest: Nearest,
    *,
    progress: Progress = lambda done, total: None,
    stopped: Callable[[], bool] = lambda: False,
) -> None:
    """Bring the vectors into agreement with the index of words, as it is now.

    Raises:
        VectorsMismatch: the vectors that are there are another model's.
        DependencyDown: the embedder does not answer; what was done stays.
        IndexUnavailable: there is no index of words.
    """
    store.check_identity(embedder.identity)
    wanted, have = source.ids(), store.passages()
    store.remove(sorted(have - wanted))
    missing = sorted(wanted - have)
    done = len(wanted) - len(missing)
    progress(done, len(wanted))
    for at in range(0, len(missing), _PASSAGES):
        if stopped():
            return
        some = missing[at : at + _PASSAGES]
        store.add(embedder.identity, _embedded(embedder, source.fetch(some)))
        done += len(some)
        progress(done, len(wanted))
        nearest.refresh()
        if nearest.tail >= TAIL:
            nearest.grow()
    nearest.refresh()
    if nearest.tail >= _WORTH_AN_INDEX:
        nearest.grow()


def _embedded(embedder: Embedder, passages: Sequence[Passage]) -> dict[str, Matrix]:
    """By passage id, one row a window. Windows of like length go together: a batch is as slow as its longest."""
    texts = [(passage.id, text) for passage in passages for text in windows(passage.title, passage.text)[:MOST_WINDOWS]]
    order = sorted(range(len(texts)), key=lambda n: len(texts[n][1]))
    rows: dict[int, Matrix] = {}
    for at in range(0, len(order), _BATCH):
        some = order[at : at + _BATCH]
        rows.update(zip(some, embedder.embed_passages([texts[n][1] for n in some]), strict=True))
    found: dict[str, list[Matrix]] = {}
    for n, (passage_id, _) in enumerate(texts):
        found.setdefault(passage_id, []).append(rows[n])
    return {passage_id: np.stack(vectors) for passage_id, vectors in found.items()}
