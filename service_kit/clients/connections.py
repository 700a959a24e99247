"""Kept connections to one HTTP server, over the standard library's: no redirects, cookies, proxies or decompression.

A general client spends as long on these, or on finding that there are none, as on all else of a call between services
on one machine.
"""

import select
import socket
import ssl
import weakref
from collections import deque
from collections.abc import Iterator, Mapping
from contextlib import AbstractContextManager, suppress
from functools import partial
from http.client import HTTPConnection, HTTPMessage, HTTPResponse, HTTPSConnection
from math import inf
from typing import Any
from urllib.parse import urlsplit

from service_kit.clients.breaker import CONNECT_TIMEOUT_S
from service_kit.stopping import current_stop

RETRIES = 1
"""Of connecting, never of a request, so that none is carried out twice."""
MOST_IDLE = 64
"""Connections kept for the next call."""
_PIECE = 65536


class ConnectTimeout(ConnectionError):
    """There was no connection within the time that there is for one."""


class _InOnePiece:
    """Sends a request's head and body at once: two pieces wake the other side twice, 0.2 ms a call."""

    _unsent: list[bytes] | None = None

    def request(self, *args: Any, **kwargs: Any) -> None:
        self._unsent = []
        try:
            super().request(*args, **kwargs)  # type: ignore[misc]
        finally:
            unsent, self._unsent = self._unsent, None
        self.send(b"".join(unsent))

    def send(self, data: Any) -> None:
        if self._unsent is None:
            super().send(data)  # type: ignore[misc]
        else:
            self._unsent.append(data)


class _Connection(_InOnePiece, HTTPConnection):
    pass


class _SecureConnection(_InOnePiece, HTTPSConnection):
    pass


class Answer:
    """An answer whose head is there; its body is read once, whole or by lines, then it is closed."""

    def __init__(
        self, connections: "Connections", connection: HTTPConnection, sock: socket.socket, response: HTTPResponse
    ) -> None:
        self.waits_s: float = sock.gettimeout() or inf
        """The longest silence."""
        self._connections = connections
        self._connection = connection
        self._sock = sock
        self._response = response

    @property
    def status(self) -> int:
        return self._response.status

    @property
    def headers(self) -> HTTPMessage:
        return self._response.headers

    def read(self) -> bytes:
        """The whole body. Raises OSError, HTTPException: it broke off."""
        with self._stoppable():
            return self._response.read()

    def lines(self) -> Iterator[bytes]:
        """The body's lines as they come, without their ends. Raises OSError, HTTPException: it broke off."""
        rest, whole = b"", self._response.length is not None
        with self._stoppable():
            # read1 of Python 3.11 does not see the end of a body whose length is known.
            while piece := self._response.read() if whole else self._response.read1(_PIECE):
                *lines, rest = (rest + piece).split(b"\n")
                for line in lines:
                    yield line.rstrip(b"\r")
        if rest:
            yield rest

    def close(self) -> None:
        """Keep the connection for the next call when the body was read to its end, else close it."""
        self._connections.give_back(self._connection, is_free=self._response.isclosed())
        self._response.close()

    def _stoppable(self) -> AbstractContextManager[None]:
        return current_stop.get().waking(partial(_hang_up, self._sock))


class Connections:
    """To `url`; safe to share between threads. A call ends at once when the `current_stop` of its context is set."""

    def __init__(self, url: str) -> None:
        parts = urlsplit(url)
        self._host, self._port, self._path = parts.hostname or "", parts.port, parts.path.rstrip("/")
        self._tls = ssl.create_default_context() if parts.scheme == "https" else None
        self._idle: deque[HTTPConnection] = deque()
        weakref.finalize(self, _close_all, self._idle)

    def send(self, method: str, path: str, body: bytes | None, headers: Mapping[str, str], seconds: float) -> Answer:
        """The answer's head, after at most `seconds` of silence; so is its body read.

        Raises:
            TimeoutError: nothing came in that time.
            ConnectTimeout, OSError, HTTPException: no connection, or it broke, also because the stop was set.
        """
        connection = self._kept() or self._connected(min(CONNECT_TIMEOUT_S, seconds / (RETRIES + 1)))
        sock = connection.sock  # the connection lets go of it when this is its last answer
        sock.settimeout(seconds)
        try:
            with current_stop.get().waking(partial(_hang_up, sock)):
                with suppress(BrokenPipeError):  # who refuses a long body answers before he has read it
                    connection.request(method, self._path + path, body, dict(headers))
                response = connection.getresponse()
        except BaseException:
            connection.close()
            raise
        return Answer(self, connection, sock, response)

    def _kept(self) -> HTTPConnection | None:
        with suppress(IndexError):
            while True:
                connection = self._idle.pop()
                if not _is_readable(connection.sock):
                    return connection
                connection.close()  # by the server, meanwhile
        return None

    def _connected(self, seconds: float) -> HTTPConnection:
        for tries_left in reversed(range(RETRIES + 1)):
            connection = self._new(seconds)
            try:
                connection.connect()
            except OSError as error:
                connection.close()
                if tries_left:
                    continue
                if isinstance(error, TimeoutError):
                    raise ConnectTimeout from error
                raise
            else:
                return connection
        raise AssertionError  # not reached

    def _new(self, seconds: float) -> HTTPConnection:
        if self._tls:
            return _SecureConnection(self._host, self._port, timeout=seconds, context=self._tls)
        return _Connection(self._host, self._port, timeout=seconds)

    def give_back(self, connection: HTTPConnection, *, is_free: bool) -> None:
        """Take a connection for the next call; `is_free`: nothing of an answer is left in it."""
        if is_free and connection.sock is not None and len(self._idle) < MOST_IDLE:
            self._idle.append(connection)
        else:
            connection.close()


def _close_all(idle: deque[HTTPConnection]) -> None:
    while idle:
        idle.pop().close()


def _hang_up(sock: socket.socket) -> None:
    """Wake whoever waits for the other side."""
    with suppress(OSError):  # closed meanwhile
        sock.shutdown(socket.SHUT_RDWR)


def _is_readable(sock: socket.socket) -> bool:
    """Of an idle connection: the other side has closed it."""
    poll = select.poll()
    poll.register(sock, select.POLLIN)
    return bool(poll.poll(0))
