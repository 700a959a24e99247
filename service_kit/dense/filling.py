"""Gives every passage of the index its vectors: only those that have none yet. Killed at any moment, the next run goes
on where this one was."""

from collections.abc import Callable, Iterable, Mapping, Sequence
from typing import Protocol

import numpy as np

from service_kit.dense.embedder import Embedder
from service_kit.dense.vector_index import VectorIndex
from service_kit.dense.vectors import Matrix
from service_kit.dense.windows import windows
from service_kit.errors import DependencyDown, NoVectors
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
        NoVectors: it has none for some passages; all others have got theirs, unless it had none for _PASSAGES of them.
        IndexLocked: another process has taken over; likewise.
        IndexUnavailable: there is no index of words.
    """
    vectors.check_identity(embedder.identity)
    wanted, have = source.ids(), vectors.passages()
    missing = sorted(wanted - have)
    done = len(wanted) - len(missing)
    progress(done, len(wanted))
    refused: dict[str, NoVectors] = {}
    for at in range(0, len(missing), _PASSAGES):
        if stopped():
            return
        some = missing[at : at + _PASSAGES]
        made, without = _made(embedder, source.fetch(some))
        vectors.add(embedder.identity, made)
        vectors.settle(finished=at + _PASSAGES >= len(missing))
        refused |= without
        done += len(some) - len(without)
        progress(done, len(wanted))
    if not missing:
        vectors.settle(finished=True)
    if refused:
        raise _refusal(refused)


def sweep(source: Source, vectors: VectorIndex) -> None:
    """Take out the vectors of passages that are gone. Not while an index is being filled anew: it has few of them yet,
    and what is taken out would have to be made again. For who holds `vectors.filling`."""
    vectors.remove(sorted(vectors.passages() - source.ids()))


def _made(embedder: Embedder, passages: Sequence[Passage]) -> tuple[dict[str, Matrix], dict[str, NoVectors]]:
    """The vectors by passage id, and why there are none for some: a text that a model fails at must not keep all others
    from theirs. Raises NoVectors when there are none for any."""
    try:
        return _embedded(embedder, passages), {}
    except NoVectors as error:
        if len(passages) == 1:
            raise _refusal({passages[0].id: error}) from None
    made: dict[str, Matrix] = {}
    without: dict[str, NoVectors] = {}
    for one in passages:
        try:
            made |= _embedded(embedder, [one])
        except NoVectors as error:
            without[one.id] = error
    if not made:
        raise _refusal(without)
    _check_lengths(made.values())
    return made, without


def _refusal(refused: Mapping[str, NoVectors]) -> NoVectors:
    passage_id, error = next(iter(refused.items()))
    count, words = len(refused), error.words
    return NoVectors(
        f"{count} 个段落得不到向量，例如 {passage_id}：{words.zh}",
        f"{count} passages get no vectors, such as {passage_id}: {words.en}",
        retry_after=error.retry_after,
        details=error.details,
    )


def _embedded(embedder: Embedder, passages: Sequence[Passage]) -> dict[str, Matrix]:
    """By passage id, one row a window. Windows of like length go together: a batch is as slow as its longest."""
    texts = [(passage.id, text) for passage in passages for text in windows(passage.title, passage.text)[:MOST_WINDOWS]]
    order = sorted(range(len(texts)), key=lambda n: len(texts[n][1]))
    rows: dict[int, Matrix] = {}
    for at in range(0, len(order), _BATCH):
        some = order[at : at + _BATCH]
        rows.update(zip(some, embedder.embed_passages([texts[n][1] for n in some]), strict=True))
    _check_lengths(rows.values())
    found: dict[str, list[Matrix]] = {}
    for n, (passage_id, _) in enumerate(texts):
        found.setdefault(passage_id, []).append(rows[n])
    return {passage_id: np.stack(vectors) for passage_id, vectors in found.items()}


def _check_lengths(some: Iterable[Matrix]) -> None:
    if len({one.shape[-1] for one in some}) > 1:
        raise DependencyDown(
            "嵌入服务给出的向量长度不一，模型刚刚换了",
            "The embedder gave vectors of several lengths: its model has just changed",
        )
