"""The store of several rag_servers: Redis holds sessions and trail, so that any server answers any session.

Keys, all beginning with `yiju:`
    session:<id>   hash: owner, title, created, last_access; forgotten by Redis itself when idle
    messages:<id>  list of JSON [role, content, standalone], oldest first
    of:<owner>     sorted set of session ids by last access
    trail          stream, one entry a turn
    trace:<id>     hash: owner, feedback of the turn with this trace_id
"""

import json
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from redis import Redis
from redis.backoff import ExponentialBackoff
from redis.client import Pipeline
from redis.exceptions import ConnectionError as RedisConnectionError
from redis.exceptions import RedisError
from redis.retry import Retry

from rag_server.store.redis_stops import RedisStops
from rag_server.store.redis_turns import RedisTurns
from rag_server.store.store import (
    EVER,
    HISTORY_LIMIT,
    TITLE_LENGTH,
    Entry,
    Feedback,
    Period,
    Session,
    new_id,
    no_session,
    no_turn,
)
from rag_server.turn import Message, SessionKey
from service_kit.deadline import Deadline
from service_kit.errors import DependencyDown

PREFIX = "yiju:"
TIMEOUT_S = 5.0
CONNECT_TIMEOUT_S = 2.0
_PAGE = 500


class RedisStore:
    """See `Store`; the arguments are SqliteStore's, with a URL in place of the folder."""

    def __init__(
        self, url: str, idle_s: float, retention_s: float | None = None, clock: Callable[[], float] = time.time
    ) -> None:
        # redis-py types answers as bytes or text, whatever `decode_responses` says.
        self._redis: Any = Redis.from_url(
            url,
            decode_responses=True,
            socket_timeout=TIMEOUT_S,
            socket_connect_timeout=CONNECT_TIMEOUT_S,
            # A connection that a restarted Redis dropped is opened again once. A command that timed out may have been
            # carried out: it is not sent twice.
            retry=Retry(ExponentialBackoff(cap=0.2, base=0.02), 1, supported_errors=(RedisConnectionError,)),
        )
        self._idle_s = idle_s
        self._retention_s = retention_s
        self._clock = clock
        self._turns = RedisTurns(self._redis, PREFIX)
        self._stops = RedisStops(self._redis, PREFIX)

    @contextmanager
    def one_turn(self, session_id: str, deadline: Deadline) -> Iterator[None]:
        with _failing_as_dependency(), self._turns.one(session_id, deadline):
            yield

    @contextmanager
    def heeding_stops(self, session: SessionKey, stop: Callable[[], object]) -> Iterator[None]:
        with _failing_as_dependency(), self._stops.heeding(session, stop):
            yield

    def stop_elsewhere(self, session: SessionKey) -> bool:
        with _failing_as_dependency():
            return self._stops.tell(session)

    def begin_turn(self, session: SessionKey) -> tuple[Message, ...]:
        with _failing_as_dependency():
            if not self._is_there(session):
                return ()
            with self._redis.pipeline() as pipe:
                self._touch(pipe, session)
                pipe.lrange(_messages(session.id), -HISTORY_LIMIT, -1)
                return tuple(map(_message, pipe.execute()[-1]))

    def record(self, entry: Entry, standalone: str | None) -> None:
        session, now = entry.session, self._clock()
        messages = [["user", entry.query, standalone], ["assistant", entry.response, None]]
        with _failing_as_dependency(), self._redis.pipeline(transaction=True) as pipe:
            pipe.hsetnx(_session(session.id), "owner", session.owner)
            pipe.hsetnx(_session(session.id), "title", entry.query[:TITLE_LENGTH])
            pipe.hsetnx(_session(session.id), "created", now)
            pipe.rpush(_messages(session.id), *(json.dumps(one, ensure_ascii=False) for one in messages))
            pipe.ltrim(_messages(session.id), -HISTORY_LIMIT, -1)
            self._touch(pipe, session)
            self._append(pipe, entry, now)
            pipe.execute()

    def log(self, entry: Entry) -> None:
        with _failing_as_dependency(), self._redis.pipeline(transaction=True) as pipe:
            self._append(pipe, entry, self._clock())
            pipe.execute()

    def clear(self, session: SessionKey) -> None:
        with _failing_as_dependency():
            if self._is_there(session):
                self._redis.delete(_messages(session.id))

    def create(self, owner: str, title: str | None) -> Session:
        begun = Session(new_id(), title, now := self._clock(), now, 0)
        known: dict[str, Any] = {"owner": owner, "created": now} | ({"title": title} if title else {})
        with _failing_as_dependency(), self._redis.pipeline(transaction=True) as pipe:
            pipe.hset(_session(begun.id), mapping=known)
            self._touch(pipe, SessionKey(begun.id, owner))
            pipe.execute()
        return begun

    def sessions(self, owner: str, limit: int) -> list[Session]:
        with _failing_as_dependency():
            self._redis.zremrangebyscore(_of(owner), "-inf", self._clock() - self._idle_s)
            ids = self._redis.zrevrange(_of(owner), 0, limit - 1)
            with self._redis.pipeline(transaction=False) as pipe:
                for one in ids:
                    pipe.hgetall(_session(one))
                    pipe.llen(_messages(one))
                found = pipe.execute()
            # One may have been forgotten between the two.
            return [_shown(*one) for one in zip(ids, found[::2], found[1::2], strict=True) if one[1]]

    def read(self, session: SessionKey) -> tuple[Session, tuple[Message, ...]]:
        with _failing_as_dependency():
            known = self._mine(session)
            messages = self._redis.lrange(_messages(session.id), -HISTORY_LIMIT, -1)
            return _shown(session.id, known, len(messages)), tuple(map(_message, messages))

    def rename(self, session: SessionKey, title: str) -> Session:
        with _failing_as_dependency():
            known = self._mine(session)
            self._redis.hset(_session(session.id), "title", title)
            return _shown(session.id, known | {"title": title}, self._redis.llen(_messages(session.id)))

    def delete(self, session: SessionKey) -> None:
        with _failing_as_dependency():
            self._mine(session)
            self._forget(session)

    def entries(self, period: Period = EVER, session_id: str | None = None) -> Iterator[dict[str, Any]]:
        # Entries' ids begin with the server's milliseconds; `time` inside is what counts, so a minute of grace.
        first = "-" if period.since is None else str(max(0, int((period.since - 60) * 1000)))
        while True:
            with _failing_as_dependency():
                page = self._redis.xrange(f"{PREFIX}trail", first, "+", _PAGE)
                entries = [json.loads(fields["entry"]) for _, fields in page]
                wanted = [entry for entry in entries if _is_within(entry, period, session_id)]
                with self._redis.pipeline(transaction=False) as pipe:
                    for entry in wanted:
                        pipe.hget(_trace(entry["trace_id"]), f"feedback:{entry['id']}")
                    feedback = pipe.execute()
            for entry, said in zip(wanted, feedback, strict=True):
                del entry["id"]
                yield entry | {"feedback": json.loads(said) if said else None}
            if len(page) < _PAGE:
                return
            first = f"({page[-1][0]}"

    def add_feedback(self, trace_id: str, owner: str, feedback: Feedback) -> None:
        with _failing_as_dependency():
            entry_id = self._redis.hget(_trace(trace_id), f"last:{owner}")
            if entry_id is None:
                raise no_turn()
            said = json.dumps({"score": feedback.score, "comment": feedback.comment}, ensure_ascii=False)
            self._redis.hset(_trace(trace_id), f"feedback:{entry_id}", said)

    def check(self) -> dict[str, Any]:
        with _failing_as_dependency():
            self._redis.ping()
        return {"store": "redis"}

    def close(self) -> None:
        self._stops.close()
        self._redis.close()

    def _is_there(self, session: SessionKey) -> bool:
        """Whether the session lives. Raises NotFound when it is another owner's."""
        known = self._redis.hgetall(_session(session.id))
        if not known:
            return False
        if float(known["last_access"]) < self._clock() - self._idle_s:
            self._forget(SessionKey(session.id, known["owner"]))
            return False
        if known["owner"] != session.owner:
            raise no_session()
        return True

    def _mine(self, session: SessionKey) -> dict[str, str]:
        if not self._is_there(session):
            raise no_session()
        return dict(self._redis.hgetall(_session(session.id)))

    def _touch(self, pipe: Pipeline, session: SessionKey) -> None:
        now, idle_ms = self._clock(), int(self._idle_s * 1000)
        pipe.hset(_session(session.id), "last_access", now)
        pipe.pexpire(_session(session.id), idle_ms)
        pipe.pexpire(_messages(session.id), idle_ms)
        if session.owner:  # without keys nobody lists sessions
            pipe.zadd(_of(session.owner), {session.id: now})
            pipe.pexpire(_of(session.owner), idle_ms)

    def _forget(self, session: SessionKey) -> None:
        self._redis.delete(_session(session.id), _messages(session.id))
        self._redis.zrem(_of(session.owner), session.id)

    def _append(self, pipe: Pipeline, entry: Entry, now: float) -> None:
        entry_id = new_id()  # Redis gives its own only when the transaction is over
        fields = {
            "id": entry_id,
            "time": now,
            "trace_id": entry.trace_id,
            "session_id": entry.session.id,
            "query": entry.query,
            "new_query": entry.new_query,
            "docs": entry.docs,
            "response": entry.response,
            "retrieval": entry.retrieval,
            "answer_mode": entry.answer_mode,
            "refused": entry.refused,
            "stopped": entry.stopped,
        }
        oldest = None if self._retention_s is None else str(max(0, int((now - self._retention_s) * 1000)))
        pipe.xadd(f"{PREFIX}trail", {"entry": json.dumps(fields, ensure_ascii=False)}, minid=oldest)
        pipe.hset(_trace(entry.trace_id), f"last:{entry.session.owner}", entry_id)
        if self._retention_s is not None:
            pipe.pexpire(_trace(entry.trace_id), int(self._retention_s * 1000))


def _session(session_id: str) -> str:
    return f"{PREFIX}session:{session_id}"


def _messages(session_id: str) -> str:
    return f"{PREFIX}messages:{session_id}"


def _of(owner: str) -> str:
    return f"{PREFIX}of:{owner}"


def _trace(trace_id: str) -> str:
    return f"{PREFIX}trace:{trace_id}"


def _message(stored: str) -> Message:
    return Message(*json.loads(stored))


def _shown(session_id: str, known: dict[str, str], messages: int) -> Session:
    return Session(
        session_id, known.get("title"), float(known.get("created", 0)), float(known["last_access"]), messages
    )


def _is_within(entry: dict[str, Any], period: Period, session_id: str | None) -> bool:
    after = period.since is None or entry["time"] >= period.since
    before = period.until is None or entry["time"] < period.until
    return after and before and session_id in (None, entry["session_id"])


@contextmanager
def _failing_as_dependency() -> Iterator[None]:
    try:
        yield
    except RedisError as error:
        raise DependencyDown(
            f"会话库 Redis 不可用：{error}",
            f"Redis, which holds the sessions, can not be used: {error}",
            retry_after=5,
            details={"dependency": "redis"},
        ) from error
