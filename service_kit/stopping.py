"""How a piece of work is told, from any thread and at any moment, that nobody wants it any more."""

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar

from service_kit.errors import Stopped


class Stop:
    """Set once, from any thread; wakes whoever waits inside `waking`."""

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._wakers: list[Callable[[], object]] = []
        self._set = False

    def set(self) -> None:
        """Say that the work is not wanted any more. Does nothing the second time."""
        with self._lock:
            self._set = True
            wakers, self._wakers = self._wakers, []
        for wake in wakers:
            wake()

    @property
    def is_set(self) -> bool:
        return self._set

    def check(self) -> None:
        """Raises Stopped when it is set."""
        if self._set:
            raise Stopped

    @contextmanager
    def waking(self, wake: Callable[[], object]) -> Iterator[None]:
        """While this lasts `set` calls `wake`, at most once; at once when it is set already."""
        with self._lock:
            is_late = self._set
            if not is_late:
                self._wakers.append(wake)
        if is_late:
            wake()
        try:
            yield
        finally:
            with self._lock:
                if wake in self._wakers:
                    self._wakers.remove(wake)


current_stop: ContextVar[Stop] = ContextVar("current_stop", default=Stop())  # noqa: B039  # this one is never set
"""The stop of the turn that this context works for: clients of other services give up their calls by it."""
