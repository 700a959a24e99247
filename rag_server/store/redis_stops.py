"""`POST /stop` across all rag_servers that share a Redis: a server listens on a channel for each turn that it answers.

Publishing says how many listened, so that whoever gets the request knows whether there was anything to stop.
"""

import logging
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from typing import Any

from redis import Redis
from redis.exceptions import RedisError

from rag_server.turn import SessionKey

logger = logging.getLogger(__name__)

LISTEN_S = 5.0
"""Of silence after which the listener looks whether it is to end."""
AGAIN_S = 0.5
"""After the connection was lost."""


class RedisStops:
    """See `Store.heeding_stops` and `Store.stop_elsewhere`."""

    def __init__(self, redis: Redis, prefix: str) -> None:
        self._redis: Any = redis
        self._prefix = f"{prefix}stop:"
        self._lock = threading.Lock()
        self._heard: dict[str, list[Callable[[], object]]] = {}
        self._pubsub: Any = None
        self._ended = threading.Event()

    @contextmanager
    def heeding(self, session: SessionKey, stop: Callable[[], object]) -> Iterator[None]:
        """Raises RedisError: no connection."""
        channel = self._channel(session)
        with self._lock:
            self._listen()
            waiting = self._heard.setdefault(channel, [])
            waiting.append(stop)
            if len(waiting) == 1:
                self._pubsub.subscribe(channel)
        try:
            yield
        finally:
            with self._lock:
                waiting.remove(stop)
                if not waiting:
                    del self._heard[channel]
                    with suppress(RedisError):  # lost: the next connection begins without it
                        self._pubsub.unsubscribe(channel)

    def tell(self, session: SessionKey) -> bool:
        return bool(self._redis.publish(self._channel(session), "stop"))

    def close(self) -> None:
        self._ended.set()
        with self._lock:
            if self._pubsub:
                self._pubsub.close()

    def _channel(self, session: SessionKey) -> str:
        return f"{self._prefix}{session.owner}:{session.id}"

    def _listen(self) -> None:
        if self._pubsub is None:
            self._subscribe()
            threading.Thread(target=self._pass_on, name="stops", daemon=True).start()

    def _subscribe(self) -> None:
        # One channel that nobody writes to: a connection without any would not be listened to.
        pubsub = self._redis.pubsub(ignore_subscribe_messages=True)
        pubsub.subscribe(f"{self._prefix}-", *self._heard)
        self._pubsub = pubsub

    def _pass_on(self) -> None:
        while not self._ended.is_set():
            try:
                message = self._pubsub.get_message(timeout=LISTEN_S)
            except (RedisError, OSError, ValueError, AttributeError) as error:  # also because it was closed meanwhile
                if not self._ended.wait(AGAIN_S):
                    logger.warning("stops from other servers are not heard for a moment: %s", error)
                    self._again()
                continue
            with self._lock:
                told = tuple(self._heard.get(message["channel"], ())) if message else ()
            for stop in told:
                stop()

    def _again(self) -> None:
        with self._lock, suppress(RedisError, OSError):
            self._pubsub.close()
            self._subscribe()
