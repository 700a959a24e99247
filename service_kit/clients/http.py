"""Calls one JSON service: timeouts, bounded retries, circuit breaker, request id, deadline and stop passed on."""

import json
import logging
import socket
from collections.abc import Generator, Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from typing import Any, cast

import pybreaker
import urllib3
from urllib3.connection import HTTPConnection, HTTPSConnection
from urllib3.exceptions import HTTPError, ProtocolError, ReadTimeoutError
from urllib3.response import HTTPResponse

from service_kit import deadline as deadlines
from service_kit.clients.breaker import CONNECT_TIMEOUT_S, OPEN_FOR_S, down, make_breaker, retry_after
from service_kit.clients.watch import Watch, current_watch, watched
from service_kit.deadline import Deadline
from service_kit.errors import (
    ContextTooLong,
    DeadlineExceeded,
    DependencyDown,
    GenerationFailed,
    InvalidRequest,
    Overloaded,
    PayloadTooLarge,
    YijuError,
)
from service_kit.logs import request_id
from service_kit.stopping import current_stop

logger = logging.getLogger(__name__)

RETRIES = 1
"""Repeated only when the connection failed, so that no request is carried out twice."""
MOST_CONNECTIONS = 64
"""Kept open for the next call."""


class ServiceClient:
    """Calls `name` at `url`; safe to share between threads. Never goes through an outward proxy.

    After FAILURES_TO_OPEN failures in a row the circuit opens: for OPEN_FOR_S seconds calls fail at once instead of
    waiting for a service that is down. A deadline that the caller set, shorter than `timeout_s`, is his own choice
    and no failure. A call ends at once when the `current_stop` of its context is set.
    """

    def __init__(self, name: str, url: str, *, timeout_s: float, api_key: str | None = None) -> None:
        self.name = name
        self.url = url
        self._timeout_s = timeout_s
        retry = urllib3.Retry(
            total=None,
            connect=RETRIES,
            read=False,  # not 0: urllib3 then raises the timeout itself instead of "too many retries"
            other=False,
            status=False,
            redirect=False,
            respect_retry_after_header=False,
            backoff_factor=0.1,
            allowed_methods=None,
        )
        parts = urllib3.util.parse_url(url)
        pool = _SecurePool if parts.scheme == "https" else _Pool
        self._pool = pool(parts.host or "", parts.port, maxsize=MOST_CONNECTIONS, retries=retry)
        self._path = (parts.path or "").rstrip("/")
        self._headers = {"Content-Type": "application/json", "Accept-Encoding": "identity"}
        if api_key:
            self._headers["Authorization"] = f"Bearer {api_key}"
        self._breaker = make_breaker(name, lambda error: not isinstance(error, DependencyDown))

    def post(self, path: str, payload: Mapping[str, Any], deadline: Deadline) -> dict[str, Any]:
        """The JSON object that `path` answers.

        Raises:
            DependencyDown: no connection, nothing within `timeout_s`, a 5xx, our key or path is refused (401, 403, 404,
                405), an answer that is no JSON object, or the circuit is open.
            DeadlineExceeded: no answer within the deadline, or the service itself said 504.
            Overloaded, PayloadTooLarge, ContextTooLong, GenerationFailed, InvalidRequest: the service said so; its
                words are passed on.
            Stopped: `current_stop` was set.
        """
        with self._guarded():
            return self._object(self._send("POST", path, payload, deadline))

    def get(self, path: str, deadline: Deadline) -> dict[str, Any]:
        """As `post`, without a body, and without the circuit: asking how a service is must not cut it off."""
        return self._object(self._send("GET", path, None, deadline))

    def lines(self, path: str, payload: Mapping[str, Any], deadline: Deadline) -> Generator[bytes]:
        """The lines of a streamed answer as they come, without their ends.

        Closing the generator, like a stop, closes the connection, by which the service learns that nobody reads on.

        Raises:
            DependencyDown: also when the answer breaks off. Else as `post`.
        """
        seconds = deadline.remaining(at_most=self._timeout_s)
        with self._guarded():
            response = self._send("POST", path, payload, deadline, whole=False)
            if response.status != 200:
                raise self._refusal_in(response)
        try:
            with self._translated(seconds), current_stop.get().waking(lambda: _shut(response)):
                yield from _lines(response)
        finally:
            response.close()  # does nothing to a connection whose answer was read to its end
            response.release_conn()

    @contextmanager
    def _guarded(self) -> Iterator[None]:
        try:
            with self._breaker.calling():
                yield
        except pybreaker.CircuitBreakerError:
            raise down(self.name, self.url, "刚才多次失败，稍后再试 / failing, paused", OPEN_FOR_S) from None
        except DependencyDown as error:
            logger.warning("%s", error)
            raise

    def _send(
        self, method: str, path: str, payload: Mapping[str, Any] | None, deadline: Deadline, *, whole: bool = True
    ) -> HTTPResponse:
        seconds = deadline.remaining(at_most=self._timeout_s)
        current_stop.get().check()
        headers = self._headers | {"X-Request-ID": request_id.get(), deadlines.HEADER: deadlines.to_header(seconds)}
        # Chinese as it is: escaped, it would be twice as long and break the other side's limit.
        body = None if payload is None else json.dumps(payload, ensure_ascii=False).encode()
        with watched(seconds) if whole else nullcontext() as watch, self._translated(seconds, watch):
            return cast(
                HTTPResponse,
                self._pool.urlopen(
                    method,
                    self._path + path,
                    body=body,
                    headers=headers,
                    timeout=urllib3.Timeout(connect=min(CONNECT_TIMEOUT_S, seconds / (RETRIES + 1)), read=seconds),
                    redirect=False,
                    preload_content=whole,
                ),
            )

    @contextmanager
    def _translated(self, seconds: float, watch: Watch | None = None) -> Iterator[None]:
        """What urllib3 raises while it waits for at most `seconds`, of a whole answer by `watch`."""
        try:
            yield
        except (HTTPError, OSError) as error:
            current_stop.get().check()
            if isinstance(error, ReadTimeoutError) or (watch and watch.is_over):
                raise self._late(seconds) from None
            reason = getattr(error, "reason", None) or error
            raise down(self.name, self.url, type(reason).__name__, OPEN_FOR_S) from error

    def _late(self, seconds: float) -> YijuError:
        late = f"在 {seconds:.1f} 秒内没有回应 / no answer within {seconds:.1f} s"
        if seconds >= self._timeout_s:
            return down(self.name, self.url, late, OPEN_FOR_S)
        return DeadlineExceeded(f"{self.name} {late}", f"{self.name}: {late}")

    def _object(self, response: HTTPResponse) -> dict[str, Any]:
        if not 200 <= response.status < 300:
            raise self._refusal_in(response)
        body = _json(response.data)
        if isinstance(body, dict):
            return body
        raise down(self.name, self.url, "不是 JSON 对象 / no JSON object", None)

    def _refusal_in(self, response: HTTPResponse) -> YijuError:
        code, message = _fault_in(_json(response.data))
        status = response.status
        return self._refusal(status, code, message or f"HTTP {status}", retry_after(response.headers))

    def _refusal(self, status: int, code: str | None, message: str, pause: float | None) -> YijuError:
        zh, en = f"{self.name}：{message}", f"{self.name}: {message}"
        if status == 429:
            return Overloaded(zh, en, retry_after=pause)
        if status == 504:
            return DeadlineExceeded(zh, en)
        if status == 413:
            return PayloadTooLarge(zh, en)
        if code == ContextTooLong.code:
            return ContextTooLong(zh, en)
        if code == GenerationFailed.code:
            return GenerationFailed(zh, en)
        if status in (400, 409, 422):
            return InvalidRequest(zh, en)
        return down(self.name, self.url, message, pause)


class _HangsUp:
    """A connection that gives up waiting for an answer when its context's turn is stopped, or its time is over."""

    def getresponse(self) -> Any:
        if watch := current_watch.get():
            watch.look_at(self.sock)  # type: ignore[attr-defined]
        with current_stop.get().waking(self._hang_up):
            return super().getresponse()  # type: ignore[misc]

    def _hang_up(self) -> None:
        with suppress(OSError, AttributeError):  # closed meanwhile
            self.sock.shutdown(socket.SHUT_RDWR)  # type: ignore[attr-defined]


class _Connection(_HangsUp, HTTPConnection):
    pass


class _SecureConnection(_HangsUp, HTTPSConnection):
    pass


class _Pool(urllib3.HTTPConnectionPool):
    ConnectionCls = _Connection


class _SecurePool(urllib3.HTTPSConnectionPool):
    ConnectionCls = _SecureConnection


def _shut(response: HTTPResponse) -> None:
    with suppress(OSError, ValueError, RuntimeError):  # read to its end meanwhile
        response.shutdown()


def _lines(response: HTTPResponse) -> Iterator[bytes]:
    rest = b""
    for chunk in response.stream() if response.chunked else iter(response.read1, b""):
        *lines, rest = (rest + chunk).split(b"\n")
        for line in lines:
            yield line.rstrip(b"\r")
    if response.length_remaining:  # read1 does not mind
        raise ProtocolError("the answer broke off")
    if rest:
        yield rest


def _json(data: bytes) -> Any:
    try:
        return json.loads(data)
    except (ValueError, RecursionError):
        return None


def _fault_in(body: Any) -> tuple[str | None, str | None]:
    """Code and message of an error body, or what a `/readyz` says of the dependencies that are not ready."""
    if not isinstance(body, dict):
        return None, None
    error, dependencies = body.get("error"), body.get("dependencies")
    if isinstance(error, dict):
        return error.get("code"), str(error.get("message"))
    if isinstance(dependencies, dict):
        told = (one.get("message") for one in dependencies.values() if isinstance(one, dict))
        return None, "; ".join(message for message in told if message) or None
    return None, None
