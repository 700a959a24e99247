"""The vectors as a search needs them, and the thread that keeps them up to date beside it."""

import logging
import os
import sys
import threading
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from service_kit.deadline import Deadline
from service_kit.dense.embedder import Embedder
from service_kit.dense.filling import Source, fill, filling_lock
from service_kit.dense.nearest import Nearest
from service_kit.dense.store import Rows, VectorStore
from service_kit.dense.vectors import Vector
from service_kit.dense.windows import ends
from service_kit.errors import IndexUnavailable, YijuError

logger = logging.getLogger(__name__)

WINDOWS_A_PASSAGE = 2
"""Windows looked for, for each passage wanted: several of the nearest are often of one passage."""
_CACHED_QUESTIONS = 4096
_PAUSE_S = 1.0
_PAUSE_AFTER_FAULT_S = 10.0


@dataclass(frozen=True)
class Likeness:
    """How near a passage is to a question: the cosine of its best window, and which one that is (from 0)."""

    cosine: float
    window: int


class VersionedSource(Source, Protocol):
    """An index of words that tells when it has changed."""

    def version(self) -> object:
        """Another value after each commit."""


class DenseIndex:
    """Vectors of passages, and of the questions lately asked. Safe to share between threads."""

    def __init__(self, data: Path, embedder: Embedder) -> None:
        self.embedder = embedder
        self.store = VectorStore(data)
        self.nearest = Nearest(data, self.store)
        self._data = data
        self._cache: OrderedDict[str, Vector] = OrderedDict()
        self._lock = threading.Lock()

    def close(self) -> None:
        self.store.close()
        self.embedder.close()

    def question(self, question: str, deadline: Deadline) -> Vector:
        """The question's vector, of its two ends when it is long; lately asked ones are kept.

        Raises what the embedder raises, and VectorsMismatch.
        """
        self.store.check_identity(self.embedder.identity)
        question = ends(question)
        with self._lock:
            known = self._cache.get(question)
            if known is not None:
                self._cache.move_to_end(question)
                return known
        vector = self.embedder.embed_query(question, deadline)
        with self._lock:
            self._cache[question] = vector
            if len(self._cache) > _CACHED_QUESTIONS:
                self._cache.popitem(last=False)
        return vector

    def search(self, question: Vector, count: int) -> dict[str, Likeness]:
        """About the `count` passages that are nearest, by id."""
        rows = self.store.by_key(self.nearest.search(question, WINDOWS_A_PASSAGE * count))
        found = _best_windows(rows, question)
        best = sorted(found, key=lambda one: (-found[one].cosine, one))[:count]
        return {one: found[one] for one in best}

    def likeness(self, question: Vector, ids: Sequence[str]) -> dict[str, Likeness]:
        """Of these passages, those that have their vectors."""
        return _best_windows(self.store.by_passage(ids), question)


def _best_windows(rows: Rows, question: Vector) -> dict[str, Likeness]:
    if not rows.windows:
        return {}
    found: dict[str, Likeness] = {}
    for window, cosine in zip(rows.windows, (rows.vectors @ question).tolist(), strict=True):
        known = found.get(window.passage)
        if known is None or cosine > known.cosine:
            found[window.passage] = Likeness(cosine, window.n)
    return found


class Keeper:
    """A thread of low priority that takes in new vectors and, if no other process does it, makes those that are
    missing. Faults are kept to be shown; it tries again."""

    def __init__(self, data: Path, dense: DenseIndex, source: VersionedSource) -> None:
        self._data = data
        self._dense = dense
        self._source = source
        self._closing = threading.Event()
        self._filled_version: object = None
        self.done, self.total = 0, 0
        self.problem: YijuError | None = None
        dense.nearest.refresh()
        self._thread = threading.Thread(target=self._run, name="vectors", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends after the batch in hand."""
        self._closing.set()
        self._thread.join(30)

    def _run(self) -> None:
        if sys.platform == "linux":  # there a thread has a priority of its own
            with suppress(OSError):
                os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
        while not self._closing.is_set():
            pause = _PAUSE_S
            try:
                self._work()
                self.problem = None
            except IndexUnavailable:  # no words yet: no vectors
                self.done, self.total = 0, 0
            except YijuError as error:
                logger.warning("vectors: %s", error)
                self.problem, pause = error, _PAUSE_AFTER_FAULT_S
            except Exception as error:  # a full disk, a defect: searches by words go on
                logger.exception("vectors can not be made")
                self.problem = YijuError(f"向量无法更新：{error}", f"Vectors can not be updated: {error}")
                pause = _PAUSE_AFTER_FAULT_S
            self._closing.wait(pause)

    def _work(self) -> None:
        self._dense.nearest.refresh()
        version = self._source.version()
        if version == self._filled_version:
            return
        with filling_lock(self._data, wait=False) as mine:
            if mine:
                fill(
                    self._source,
                    self._dense.embedder,
                    self._dense.store,
                    self._dense.nearest,
                    progress=self._progress,
                    stopped=self._closing.is_set,
                )
                self._filled_version = None if self._closing.is_set() else version
            else:
                wanted = self._source.ids()
                self._progress(len(wanted & self._dense.store.passages()), len(wanted))

    def _progress(self, done: int, total: int) -> None:
        self.done, self.total = done, total
