"""The vectors as a search needs them, and the thread that keeps them up to date beside it."""

import logging
import os
import sys
import threading
import time
from collections import OrderedDict
from collections.abc import Sequence
from contextlib import suppress
from typing import Protocol

from service_kit.deadline import Deadline
from service_kit.dense.embedder import Embedder
from service_kit.dense.filling import Source, fill, sweep
from service_kit.dense.vector_index import Near, VectorIndex
from service_kit.dense.vectors import Vector
from service_kit.dense.windows import ends
from service_kit.errors import IndexUnavailable, VectorsMismatch, YijuError

logger = logging.getLogger(__name__)

_CACHED_QUESTIONS = 4096
_PAUSE_S = 1.0
_PAUSE_AFTER_FAULT_S = 10.0
_STILL_S = 60.0
"""Without a commit of words, after which the vectors of passages that are gone are taken out."""
_PAUSE_BESIDE_OTHERS_S = 5.0
"""While another process makes the vectors."""
_GRACE_S = 2.0
"""For the batch in hand when the service ends."""
_TURN_S = 0.0005
"""For so long a thread keeps the interpreter while another one waits for it; Python's own 5 ms are as long as a search,
which has to ask for it several times."""


class VersionedSource(Source, Protocol):
    """An index of words that tells when it has changed."""

    def version(self) -> object:
        """Another value after each commit."""


class DenseIndex:
    """Vectors of passages, and of the questions lately asked. Safe to share between threads."""

    def __init__(self, vectors: VectorIndex, embedder: Embedder) -> None:
        """Both are closed with it."""
        self.vectors = vectors
        self.embedder = embedder
        self.filled = 1.0
        """Share of the passages that have vectors, as far as a Keeper says."""
        self._cache: OrderedDict[str, Vector] = OrderedDict()
        self._lock = threading.Lock()

    def close(self) -> None:
        self.vectors.close()
        self.embedder.close()

    def question(self, question: str, deadline: Deadline) -> Vector:
        """The question's vector, of its two ends when it is long; lately asked ones are kept.

        Raises what the embedder raises, and VectorsMismatch.
        """
        self.vectors.check_identity(self.embedder.identity)
        question = ends(question)
        with self._lock:
            known = self._cache.get(question)
            if known is not None:
                self._cache.move_to_end(question)
        if known is not None and self._is_of_their_length(known):
            return known
        vector = self.embedder.embed_query(question, deadline)
        # A server that was started anew may have another model under the same name.
        self.vectors.check_identity(self.embedder.identity, len(vector))
        with self._lock:
            self._cache[question] = vector
            if len(self._cache) > _CACHED_QUESTIONS:
                self._cache.popitem(last=False)
        return vector

    def _is_of_their_length(self, vector: Vector) -> bool:
        try:
            self.vectors.check_identity(self.embedder.identity, len(vector))
        except VectorsMismatch:  # all were dropped since, and made with a longer or shorter one
            return False
        return True

    def near(self, question: Vector, count: int, given: Sequence[str], deadline: Deadline) -> Near:
        """See `VectorIndex.near`."""
        return self.vectors.near(question, count, given, deadline)


class Keeper:
    """A thread of low priority that takes in new vectors and, if no other process does it, makes those that are
    missing. Faults are kept to be shown; it tries again."""

    def __init__(self, dense: DenseIndex, source: VersionedSource) -> None:
        self._dense = dense
        self._source = source
        self._closing = threading.Event()
        self._filled_version: object = None
        self._filled_at: float | None = None
        """When it was, until the gone ones are taken out."""
        self.done, self.total = 0, 0
        self.problem: YijuError | None = None
        self.elsewhere = False
        """Another process makes the vectors."""
        self._thread = threading.Thread(target=self._run, name="vectors", daemon=True)
        self._thread.start()

    def close(self) -> None:
        """Ends after the batch in hand; an embedder that hangs is cut off."""
        self._closing.set()
        self._thread.join(_GRACE_S)
        self._dense.embedder.close()
        self._thread.join(30)

    def _run(self) -> None:
        sys.setswitchinterval(min(_TURN_S, sys.getswitchinterval()))
        _yield_to_all_others()
        while not self._closing.is_set():
            pause = _PAUSE_S
            try:
                pause = _PAUSE_S if self._work() else _PAUSE_BESIDE_OTHERS_S
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

    def _work(self) -> bool:
        """False when it is another process's."""
        vectors = self._dense.vectors
        vectors.refresh()
        version = self._source.version()
        due = self._filled_at is not None and time.monotonic() - self._filled_at >= _STILL_S
        if version == self._filled_version and not due:
            return True
        with vectors.filling(wait=False) as mine:
            if self.elsewhere is mine:
                logger.info(
                    "vectors: made %s", "here" if mine else "by another es_search until it shows no sign of life"
                )
            self.elsewhere = not mine
            if not mine:
                wanted = self._source.ids()
                self._progress(len(wanted & vectors.passages()), len(wanted))
            elif version == self._filled_version:
                sweep(self._source, vectors)
                self._filled_at = None
            else:
                stopped = self._closing.is_set
                fill(self._source, self._dense.embedder, vectors, progress=self._progress, stopped=stopped)
                self._filled_version = None if stopped() else version
                self._filled_at = time.monotonic()
        return mine

    def _progress(self, done: int, total: int) -> None:
        self.done, self.total = done, total
        self._dense.filled = done / total if total else 1.0


def _yield_to_all_others() -> None:
    """This thread alone gets what the others leave; on Linux, where a thread has a priority of its own.

    Of the class IDLE it leaves a core at once when another thread wakes up. One of the lowest nice value would go on to
    the end of its time slice, some milliseconds.
    """
    if sys.platform == "linux":
        with suppress(OSError):
            os.setpriority(os.PRIO_PROCESS, threading.get_native_id(), 19)
        with suppress(OSError):
            os.sched_setscheduler(threading.get_native_id(), os.SCHED_IDLE, os.sched_param(0))
