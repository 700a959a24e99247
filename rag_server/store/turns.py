"""One turn at a time for each session, within this process."""

from collections.abc import Iterator
from contextlib import contextmanager
from threading import Condition

from rag_server.store.store import TURN_WAIT_S, busy
from service_kit.deadline import Deadline


class Turns:
    """See `Store.one_turn`."""

    def __init__(self) -> None:
        self._changed = Condition()
        self._busy: set[str] = set()
        self._waited_for: set[str] = set()

    @contextmanager
    def one(self, session_id: str, deadline: Deadline) -> Iterator[None]:
        with self._changed:
            if session_id in self._busy:
                self._wait(session_id, deadline)
            self._busy.add(session_id)
        try:
            yield
        finally:
            with self._changed:
                self._busy.discard(session_id)
                self._changed.notify_all()

    def _wait(self, session_id: str, deadline: Deadline) -> None:
        # Were there more, the questions of one session could take all of the server's threads.
        if session_id in self._waited_for:
            raise busy()
        self._waited_for.add(session_id)
        try:
            seconds = deadline.remaining(at_most=TURN_WAIT_S)
            if not self._changed.wait_for(lambda: session_id not in self._busy, timeout=seconds):
                deadline.remaining()
                raise busy()
        finally:
            self._waited_for.discard(session_id)
