"""A server of embeddings and of both kinds of reranking that does what it is told to do wrong.

In a thread of the test (`faulty_models`), or as a process: `python -m tests.faulty_models PORT [N]`, which kills itself
amid the Nth request.
"""

import json
import os
import signal
import sys
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

from tests.dense_fixtures import _embed

Fault = Callable[["Handler", dict[str, Any]], None]
"""Sends something else than the answer that it is given."""
_DRIP_S = 0.01
_DRIPS = 3000
"""Bytes that a dripping answer consists of: half a minute."""


class FaultyModels(ThreadingHTTPServer):
    """`fault` None: answers properly. `seen` holds the paths asked."""

    daemon_threads = True
    allow_reuse_address = True

    def __init__(self, port: int = 0) -> None:
        super().__init__(("127.0.0.1", port), Handler)
        self.fault: Fault | None = None
        self.seen: list[str] = []
        self.dimension = 64
        self.closing = threading.Event()
        self.left = threading.Event()
        """A client hung up while an answer was dripping."""

    @property
    def url(self) -> str:
        return f"http://127.0.0.1:{self.server_port}"


class Handler(BaseHTTPRequestHandler):
    """One connection."""

    protocol_version = "HTTP/1.1"
    disable_nagle_algorithm = True
    server: FaultyModels

    def do_POST(self) -> None:
        self.body = body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
        self.server.seen.append(self.path)
        answer = _ANSWERS[self.path](self.server, body)
        with suppress(OSError):  # the client is gone
            (self.server.fault or Handler.send)(self, answer)

    def send(self, answer: Any, status: int = 200) -> None:
        self.send_bytes(json.dumps(answer).encode(), status)

    def send_bytes(self, data: bytes, status: int = 200) -> None:
        self.send_response(status)
        self.send_header("Content-Type", "application/json")
        self.send_header("Content-Length", str(len(data)))
        self.end_headers()
        self.wfile.write(data)

    def log_message(self, format: str, *args: Any) -> None:
        """Tests read no log."""


def _embeddings(server: FaultyModels, body: dict[str, Any]) -> dict[str, Any]:
    rows = _embed(body["input"])[:, : server.dimension].tolist()
    data = [{"object": "embedding", "index": n, "embedding": row} for n, row in enumerate(rows)]
    return {"object": "list", "model": "m", "data": data, "usage": {"prompt_tokens": 1, "total_tokens": 1}}


def _rerank(server: FaultyModels, body: dict[str, Any]) -> dict[str, Any]:
    """The last is the best."""
    return {"results": [{"index": n, "relevance_score": n / 100} for n in range(len(body["documents"]))]}


def _score(server: FaultyModels, body: dict[str, Any]) -> dict[str, Any]:
    return {"scores": [[-1.0, -1.0 - n] for n in range(len(body["prompts"]))]}


_ANSWERS = {"/v1/embeddings": _embeddings, "/v1/rerank": _rerank, "/v1/score": _score}


def refuses(status: int) -> Fault:
    return lambda handler, _: handler.send({"error": {"message": "overloaded", "code": "busy"}}, status)


def sends(data: bytes) -> Fault:
    return lambda handler, _: handler.send_bytes(data)


def hangs(handler: Handler, answer: dict[str, Any]) -> None:
    """Never answers."""
    handler.server.closing.wait()


def breaks_off(handler: Handler, answer: dict[str, Any]) -> None:
    """Half of an answer, as of a server that is killed."""
    handler.send_response(200)
    handler.send_header("Content-Length", "1000")
    handler.end_headers()
    handler.wfile.write(b'{"half')
    handler.close_connection = True


def drips_body(handler: Handler, answer: dict[str, Any]) -> None:
    """A byte now and then: no single wait is long."""
    handler.send_response(200)
    handler.send_header("Content-Type", "application/json")
    handler.send_header("Content-Length", str(_DRIPS))
    handler.end_headers()
    _drip(handler, b" ")


def drips_head(handler: Handler, answer: dict[str, Any]) -> None:
    """The same before there is a body."""
    handler.wfile.write(b"HTTP/1.1 200 OK\r\nX-Long: ")
    _drip(handler, b"x")


def _drip(handler: Handler, byte: bytes) -> None:
    try:
        for _ in range(_DRIPS):
            handler.wfile.write(byte)
            handler.wfile.flush()
            if handler.server.closing.wait(_DRIP_S):
                return
    except OSError:
        handler.server.left.set()


@contextmanager
def faulty_models() -> Iterator[FaultyModels]:
    server = FaultyModels()
    thread = threading.Thread(target=lambda: server.serve_forever(0.02))
    thread.start()
    try:
        yield server
    finally:
        server.closing.set()
        server.shutdown()
        thread.join(10)
        server.server_close()


def _dies_at(number: int) -> Fault:
    """kill -9 amid this request, from 1."""

    def send(handler: Handler, answer: dict[str, Any]) -> None:
        if len(handler.server.seen) >= number:
            os.kill(os.getpid(), signal.SIGKILL)
        handler.send(answer)

    return send


if __name__ == "__main__":
    process = FaultyModels(int(sys.argv[1]))
    if len(sys.argv) > 2:
        process.fault = _dies_at(int(sys.argv[2]))
    process.serve_forever()
