"""Hangs up on services whose whole answer takes too long. One thread for all calls: one for each would cost a turn of
rag_server a twelfth of its time."""

import socket
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from contextvars import ContextVar

_TICK_S = 0.05
"""How late it may be noticed."""


class Watch:
    """One call. A connection's own limit is that of each wait: an answer that trickles in would never reach it."""

    def __init__(self, until: float) -> None:
        self.until = until
        self.is_over = False
        self._lock = threading.Lock()
        self._sock: socket.socket | None = None

    def look_at(self, sock: socket.socket) -> None:
        """The connection that the call is made by."""
        with self._lock:
            self._sock = sock
        if self.is_over:
            self.end()

    def release(self) -> None:
        """The call is over: its connection may be another one's by now."""
        with self._lock:
            self._sock = None

    def end(self) -> None:
        with self._lock:
            self.is_over = True
            with suppress(OSError, AttributeError):  # closed meanwhile, or not open yet
                self._sock.shutdown(socket.SHUT_RDWR)  # type: ignore[union-attr]


current_watch: ContextVar[Watch | None] = ContextVar("watch", default=None)
"""Of the call that this context makes."""


class _Watchman:
    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._watches: set[Watch] = set()
        self._is_wanted = threading.Event()
        self._thread: threading.Thread | None = None

    def add(self, watch: Watch) -> None:
        with self._lock:
            self._watches.add(watch)
            self._is_wanted.set()
            if self._thread is None or not self._thread.is_alive():  # the first call, or a process forked since
                self._thread = threading.Thread(target=self._run, name="watchman", daemon=True)
                self._thread.start()

    def remove(self, watch: Watch) -> None:
        with self._lock:
            self._watches.discard(watch)

    def _run(self) -> None:
        while True:
            self._is_wanted.wait()
            time.sleep(_TICK_S)
            now = time.monotonic()
            with self._lock:
                late = [watch for watch in self._watches if watch.until <= now]
                if not self._watches:
                    self._is_wanted.clear()
            for watch in late:
                watch.end()


_watchman = _Watchman()


@contextmanager
def watched(seconds: float) -> Iterator[Watch]:
    """Within, the connection that `current_watch` is shown is shut down when `seconds` are over."""
    watch = Watch(time.monotonic() + seconds)
    _watchman.add(watch)
    token = current_watch.set(watch)
    try:
        yield watch
    finally:
        current_watch.reset(token)
        _watchman.remove(watch)
        watch.release()
