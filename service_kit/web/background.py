"""Work that goes on beside its request, so that the request can say "still here" and notice when its client leaves."""

import contextvars
import math
import threading
from collections.abc import Callable, Generator, Iterator
from queue import Empty, SimpleQueue
from time import monotonic
from typing import Any, Generic, NamedTuple, TypeVar

from service_kit.stopping import Stop

T = TypeVar("T")
WATCH_EVERY_S = 0.1
"""How often a request without news looks whether its client is still there."""


class Workers:
    """Threads that are made when no one is idle and then kept. They never hold up the end of the process."""

    def __init__(self, name: str) -> None:
        self._name = name
        self._jobs: SimpleQueue[Callable[[], object]] = SimpleQueue()
        self._lock = threading.Lock()
        self._idle = 0

    def start(self, job: Callable[[], object]) -> None:
        """Run `job`, which must not raise, in one of the threads."""
        with self._lock:
            is_short = self._idle == 0
            self._idle -= not is_short
        if is_short:
            threading.Thread(target=self._work, name=self._name, daemon=True).start()
        self._jobs.put(job)

    def _work(self) -> None:
        while True:
            self._jobs.get()()
            with self._lock:
                self._idle += 1


class _Failed(NamedTuple):
    error: BaseException


class _Ended:
    pass


class Background(Generic[T]):
    """The items of an iterator that another thread goes through, in the caller's context.

    Whoever leaves the iteration early, and a client that hangs up, set `stop`; the work ends by itself then, and what
    it still gives is dropped.
    """

    def __init__(self, workers: Workers, items: Iterator[T], stop: Stop, is_gone: Callable[[], bool]) -> None:
        self._queue: SimpleQueue[T | _Failed | _Ended] = SimpleQueue()
        self._stop = stop
        self._is_gone = is_gone
        context = contextvars.copy_context()
        workers.start(lambda: context.run(self._go_through, items))

    def items(self) -> Iterator[T]:
        """Raises what the work raises."""
        return (item for item in self.with_silence(math.inf, math.inf) if item is not None)

    def with_silence(self, first_s: float, seconds: float) -> Generator[T | None]:
        """The items, and None when `first_s` have passed and then after each `seconds` in which none came.

        Raises what the work raises.
        """
        due, waits_for_first = monotonic() + first_s, True
        try:
            while True:
                try:
                    item = self._queue.get(timeout=WATCH_EVERY_S)
                except Empty:
                    if self._is_gone():
                        self._stop.set()
                    if monotonic() >= due:
                        yield None
                        due, waits_for_first = monotonic() + seconds, False
                    continue
                if isinstance(item, _Ended):
                    return
                if isinstance(item, _Failed):
                    raise item.error
                yield item
                if not waits_for_first:
                    due = monotonic() + seconds
        finally:
            self._stop.set()

    def _go_through(self, items: Iterator[T]) -> None:
        end: Any = _Ended()
        try:
            for item in items:
                self._queue.put(item)
        except Exception as error:  # noqa: BLE001  # raised again where the request is
            end = _Failed(error)
        self._queue.put(end)
