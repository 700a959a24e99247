"""Gives every passage of the index its vectors: only those that have none yet. Killed at any moment, the next run goes
on where this one was."""

from collections.abc import Callable, Sequence
from typing import Protocol

import numpy as np

from service_kit.dense.embedder import Embedder
from service_kit.dense.vector_index import VectorIndex
from service_kit.dense.vectors import Matrix
from service_kit.dense.windows import windows
from service_kit.errors import DependencyDown
from service_kit.passages.passage import Passage

_PASSAGES = 16
"""Passages of one transaction: what a kill loses of the work, at most."""
_BATCH = 64
"""Windows handed to the embedder at once."""
MOST_WINDOWS = 2000
"""Windows of one passage that are embedded, a quarter of a million characters."""


class Source(Protocol):
    """What filling needs of the index of words."""

    def ids(self) -> set[str]:
        """The ids of all passages."""

    def fetch(self, ids: Sequence[str]) -> list[Passage]:
        """Those of these passages that are there."""


Progress = Callable[[int, int], None]
"""Gets how many passages have their vectors, and of how many."""


def fill(
    source: Source,
    embedder: Embedder,
    vectors: VectorIndex,
    *,
    progress: Progress = lambda done, total: None,
    stopped: Callable[[], bool] = lambda: False,
) -> None:
    """Give each passage of the index of words, as it is now, its vectors. For who holds `vectors.filling`.

    Raises:
        VectorsMismatch: the vectors that are there are another model's.
        DependencyDown: the embedder does not answer; what was done stays.
        IndexLocked: another process has taken over; likewise.
        IndexUnavailable: there is no index of words.
    """
    vectors.check_identity(embedder.identity)
    wanted, have = source.ids(), vectors.passages()
    missing = sorted(wanted - have)
    done = len(wanted) - len(missing)
    progress(done, len(wanted))
    for at in range(0, len(missing), _PASSAGES):
        if stopped():
            return
        some = missing[at : at + _PASSAGES]
        vectors.add(embedder.identity, _embedded(embedder, source.fetch(some)))
        vectors.settle(finished=at + _PASSAGES >= len(missing))
        done += len(some)
        progress(done, len(wanted))
    if not missing:
        vectors.settle(finished=True)


def sweep(source: Source, vectors: VectorIndex) -> None:
    """Take out the vectors of passages that are gone. Not while an index is being filled anew: it has few of them yet,
    and what is taken out would have to be made again. For who holds `vectors.filling`."""
    vectors.remove(sorted(vectors.passages() - source.ids()))


def _embedded(embedder: Embedder, passages: Sequence[Passage]) -> dict[str, Matrix]:
    """By passage id, one row a window. Windows of like length go together: a batch is as slow as its longest."""
    texts = [(passage.id, text) for passage in passages for text in windows(passage.title, passage.text)[:MOST_WINDOWS]]
    order = sorted(range(len(texts)), key=lambda n: len(texts[n][1]))
    rows: dict[int, Matrix] = {}
    for at in range(0, len(order), _BATCH):
        some = order[at : at + _BATCH]
        rows.update(zip(some, embedder.embed_passages([texts[n][1] for n in some]), strict=True))
    if len({row.shape for row in rows.values()}) > 1:
        raise DependencyDown(
            "嵌入服务给出的向量长度不一：模型刚刚换了",
            "The embedder gave vectors of several lengths: its model has just changed",
        )
    found: dict[str, list[Matrix]] = {}
    for n, (passage_id, _) in enumerate(texts):
        found.setdefault(passage_id, []).append(rows[n])
    return {passage_id: np.stack(vectors) for passage_id, vectors in found.items()}
