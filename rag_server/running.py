"""Which turns are being answered, so that `POST /stop` finds them."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager

from rag_server.store import Store
from rag_server.turn import SessionKey
from service_kit.stopping import Stop


class RunningTurns:
    """The stops of a session's turns, of the one that is answered and the one that waits for it: those of this server,
    and through the `store` those of the servers that share it."""

    def __init__(self, store: Store) -> None:
        self._store = store
        self._lock = threading.Lock()
        self._stops: dict[SessionKey, list[Stop]] = {}

    @contextmanager
    def one(self, session: SessionKey, stop: Stop) -> Iterator[None]:
        """While this lasts the turn can be stopped."""
        with self._lock:
            self._stops.setdefault(session, []).append(stop)
        try:
            with self._store.heeding_stops(session, stop.set):
                yield
        finally:
            with self._lock:
                self._stops[session].remove(stop)
                if not self._stops[session]:
                    del self._stops[session]

    def stop(self, session: SessionKey) -> bool:
        """Stop all turns of a session; False when there was none.

        Raises:
            DependencyDown: the other servers could not be told; the turns of this one are stopped all the same.
        """
        with self._lock:
            stops = tuple(self._stops.get(session, ()))
        for stop in stops:
            stop.set()
        return self._store.stop_elsewhere(session) or bool(stops)
