"""Servers whose times are known, each in a process of its own.

They speak just enough HTTP for one client: the less they do, the less stands between the truth and the measurement.
"""

import asyncio
import multiprocessing
import os
import selectors
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from multiprocessing.connection import Connection

START_TIMEOUT_S = 30.0
_BODY = b'{"response": "ok", "history": [], "status": 200, "time": ""}'
_RESPONSE = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: %d\r\n\r\n%b" % (len(_BODY), _BODY)

When = Callable[[float], float]
"""From the moment at which a request has come to the one at which it is answered, in seconds on the loop's clock."""


class Null:
    """Answers at once."""

    def __call__(self, now: float) -> float:
        return now


class Delays:
    """Answers each request after the next of `delays` seconds, again and again, however many are in work."""

    def __init__(self, delays: Sequence[float]) -> None:
        self._delays = delays
        self._count = 0

    def __call__(self, now: float) -> float:
        self._count += 1
        return now + self._delays[(self._count - 1) % len(self._delays)]


class Queue:
    """One worker, `service_s` for each request, first come first served."""

    def __init__(self, service_s: float) -> None:
        self._service_s = service_s
        self._free_at = 0.0

    def __call__(self, now: float) -> float:
        # Counted from when the worker was free, not from when a timer fired: late timers do not add up.
        self._free_at = max(now, self._free_at) + self._service_s
        return self._free_at


@contextmanager
def serving(when: When, core: int | None = None) -> Iterator[str]:
    """The URL of a server that answers at `when`, as its own process; `core` None: on any core."""
    # Spawned: a fork would take this process's threads and event loops along.
    context = multiprocessing.get_context("spawn")
    here, there = context.Pipe(duplex=False)
    process = context.Process(target=_run, args=(when, there, core), daemon=True)
    process.start()
    try:
        if not here.poll(START_TIMEOUT_S):
            raise TimeoutError("the server did not start")
        yield f"http://127.0.0.1:{here.recv()}/"
    finally:
        process.terminate()
        process.join()


def _run(when: When, port: Connection, core: int | None) -> None:
    if core is not None:
        os.sched_setaffinity(0, {core})
    # select waits in microseconds, epoll only in milliseconds.
    with asyncio.Runner(loop_factory=lambda: asyncio.SelectorEventLoop(selectors.SelectSelector())) as runner:
        runner.run(_serve(when, port))


async def _serve(when: When, port: Connection) -> None:
    server = await asyncio.get_running_loop().create_server(lambda: _Http(when), "127.0.0.1", 0)
    port.send(server.sockets[0].getsockname()[1])
    await server.serve_forever()


class _Http(asyncio.Protocol):
    def __init__(self, when: When) -> None:
        self._when = when
        self._buffer = b""

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        assert isinstance(transport, asyncio.Transport)
        self._transport = transport

    def data_received(self, data: bytes) -> None:
        self._buffer += data
        head, found, body = self._buffer.partition(b"\r\n\r\n")
        if not found or len(body) < int(head.lower().split(b"content-length:")[1].split(b"\r\n")[0]):
            return
        self._buffer = b""
        loop = asyncio.get_running_loop()
        now = loop.time()
        at = self._when(now)
        if at <= now:
            self._answer()
        else:
            loop.call_at(at, self._answer)

    def _answer(self) -> None:
        if not self._transport.is_closing():
            self._transport.write(_RESPONSE)
