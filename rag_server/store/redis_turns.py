"""One turn at a time for each session, across all rag_servers that share a Redis."""

import logging
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from redis import Redis
from redis.exceptions import LockError, RedisError
from redis.lock import Lock

from rag_server.store.store import TURN_WAIT_S, busy
from service_kit.deadline import Deadline

logger = logging.getLogger(__name__)

TIME_TO_LIVE_S = 15.0
"""A turn whose server died frees its session after this long; a living server prolongs it all the while."""
_POLL_S = 0.05


class RedisTurns:
    """See `Store.one_turn`. Locks are redis-py's: a random token each, released only by their holder."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        self._redis = redis
        self._prefix = prefix
        self._held: set[Lock] = set()
        self._guard = threading.Lock()
        self._some_held = threading.Event()
        self._keeper: threading.Thread | None = None

    @contextmanager
    def one(self, session_id: str, deadline: Deadline) -> Iterator[None]:
        turn = self._lock(f"{self._prefix}turn:{session_id}", TIME_TO_LIVE_S)
        if not turn.acquire(blocking=False):
            self._wait(turn, session_id, deadline)
        self._keep(turn)
        try:
            yield
        finally:
            with self._guard:
                self._held.discard(turn)
            with suppress(LockError):  # it ran out: another turn may have begun, and keeps its own lock
                turn.release()

    def _wait(self, turn: Lock, session_id: str, deadline: Deadline) -> None:
        place = self._lock(f"{self._prefix}waiting:{session_id}", TURN_WAIT_S + TIME_TO_LIVE_S)
        if not place.acquire(blocking=False):
            raise busy()
        try:
            # The library gives up one pause before the end.
            if not turn.acquire(blocking_timeout=deadline.remaining(at_most=TURN_WAIT_S) + _POLL_S):
                deadline.remaining()
                raise busy()
        finally:
            with suppress(LockError):
                place.release()

    def _lock(self, name: str, timeout_s: float) -> Lock:
        return Lock(self._redis, name, timeout=timeout_s, sleep=_POLL_S, thread_local=False)

    def _keep(self, turn: Lock) -> None:
        with self._guard:
            self._held.add(turn)
            self._some_held.set()
            if self._keeper is None:
                self._keeper = threading.Thread(target=self._keep_all, name="turn locks", daemon=True)
                self._keeper.start()

    def _keep_all(self) -> None:
        """Prolongs the locks of the turns that this process is in the midst of."""
        pause = threading.Event()  # nobody sets it: a sleep
        while True:
            self._some_held.wait()
            pause.wait(TIME_TO_LIVE_S / 3)
            with self._guard:
                held = list(self._held)
                if not held:
                    self._some_held.clear()
            for turn in held:
                try:
                    turn.reacquire()
                except (LockError, RedisError) as error:
                    if turn in self._held:
                        logger.warning("a turn's lock could not be kept: %s", error)
