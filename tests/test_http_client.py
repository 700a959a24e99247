"""The client between services: what it passes on, what it repeats, when it gives up."""

import socket
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Any

import pytest
from flask import Flask, jsonify, request
from flask.typing import ResponseReturnValue

from service_kit.clients import ServiceClient
from service_kit.clients.breaker import FAILURES_TO_OPEN
from service_kit.deadline import Deadline
from service_kit.errors import (
    ContextTooLong,
    DeadlineExceeded,
    DependencyDown,
    InvalidRequest,
    Overloaded,
    PayloadTooLarge,
)
from service_kit.logs import request_id
from tests.servers import free_port, served

NONE = Deadline()


@dataclass
class Remote:
    """A service whose next answer is set by the test; it notes what it got."""

    url: str = ""
    status: int = 200
    body: Any = field(default_factory=dict)
    headers: dict[str, str] = field(default_factory=dict)
    seen: list[dict[str, str]] = field(default_factory=list)
    ports: list[str] = field(default_factory=list)
    hold: Event | None = None


@pytest.fixture
def remote() -> Iterator[Remote]:
    state, app = Remote(), Flask("remote")

    @app.post("/")
    def answer() -> ResponseReturnValue:
        state.seen.append(dict(request.headers))
        state.ports.append(request.environ["REMOTE_PORT"])
        if state.hold:
            state.hold.wait(10)
        return jsonify(state.body), state.status, state.headers

    with served(app) as state.url:
        yield state


def client_of(remote: Remote, **options: Any) -> ServiceClient:
    return ServiceClient("remote", remote.url, **({"timeout_s": 5.0} | options))


def test_the_answer_is_the_json_object(remote: Remote) -> None:
    remote.body = {"docs": ["专项"]}
    assert client_of(remote).post("/", {}, NONE) == {"docs": ["专项"]}


def test_id_deadline_and_key_go_along(remote: Remote) -> None:
    token = request_id.set("trace-7")
    try:
        client_of(remote, api_key="k1").post("/", {}, Deadline.after(2))
    finally:
        request_id.reset(token)
    seen = remote.seen[0]
    assert seen["X-Request-Id"] == "trace-7"
    assert 1 < float(seen["X-Deadline"]) <= 2
    assert seen["Authorization"] == "Bearer k1"


def test_overload_is_passed_on_with_its_pause(remote: Remote) -> None:
    remote.status, remote.headers = 429, {"Retry-After": "9"}
    remote.body = {"error": {"message": "full"}}
    with pytest.raises(Overloaded, match="full") as caught:
        client_of(remote).post("/", {}, NONE)
    assert caught.value.retry_after == 9


def test_a_refusal_is_passed_on_in_its_words(remote: Remote) -> None:
    remote.status, remote.body = 400, {"error": {"message": "too long"}}
    with pytest.raises(InvalidRequest, match="remote: too long"):
        client_of(remote).post("/", {}, NONE)


@pytest.mark.parametrize(
    ("status", "body"), [(500, {}), (503, {}), (200, ["no object"]), (401, {}), (403, {}), (404, {}), (405, "page")]
)
def test_a_broken_service_is_named(remote: Remote, status: int, body: Any) -> None:
    remote.status, remote.body = status, body
    with pytest.raises(DependencyDown) as caught:
        client_of(remote).post("/", {}, NONE)
    assert caught.value.details == {"dependency": "remote"}


@pytest.mark.parametrize(
    ("status", "code", "kind"),
    [
        (413, "payload_too_large", PayloadTooLarge),
        (400, "context_too_long", ContextTooLong),
        (504, "", DeadlineExceeded),
    ],
)
def test_other_refusals_keep_their_kind(remote: Remote, status: int, code: str, kind: type[Exception]) -> None:
    remote.status, remote.body = status, {"error": {"code": code, "message": "no"}}
    with pytest.raises(kind):
        client_of(remote).post("/", {}, NONE)


def test_a_service_that_hangs_is_down(remote: Remote) -> None:
    remote.hold = Event()
    with pytest.raises(DependencyDown, match="no answer within"):
        client_of(remote, timeout_s=0.1).post("/", {}, NONE)
    remote.hold.set()


def test_chinese_is_sent_unescaped(remote: Remote) -> None:
    client_of(remote).post("/", {"question": "专项债" * 1000}, NONE)
    assert int(remote.seen[0]["Content-Length"]) < 10_000


def test_asking_for_readiness_never_opens_the_circuit(remote: Remote) -> None:
    client = client_of(remote)
    for _ in range(FAILURES_TO_OPEN + 1):
        with pytest.raises(DependencyDown):
            client.get("/readyz", NONE)
    assert client.post("/", {}, NONE) == {}


def test_the_call_that_opens_the_circuit_tells_why(remote: Remote) -> None:
    client, remote.status, remote.body = client_of(remote), 503, {"error": {"message": "set YIJU_MODEL"}}
    for _ in range(FAILURES_TO_OPEN):
        with pytest.raises(DependencyDown, match="set YIJU_MODEL"):
            client.post("/", {}, NONE)


def test_no_connection_is_named() -> None:
    client = ServiceClient("remote", f"http://127.0.0.1:{free_port()}", timeout_s=1)
    with pytest.raises(DependencyDown, match="remote"):
        client.post("/", {}, NONE)


def test_a_request_that_arrived_is_never_sent_twice(remote: Remote) -> None:
    remote.status = 503
    with pytest.raises(DependencyDown):
        client_of(remote).post("/", {}, NONE)
    assert len(remote.seen) == 1


def test_the_caller_does_not_wait_beyond_the_deadline(remote: Remote) -> None:
    remote.hold = Event()
    with pytest.raises(DeadlineExceeded):
        client_of(remote).post("/", {}, Deadline.after(0.2))
    remote.hold.set()


def test_after_failures_in_a_row_it_stops_asking(remote: Remote) -> None:
    client, remote.status = client_of(remote), 503
    for _ in range(FAILURES_TO_OPEN + 3):
        with pytest.raises(DependencyDown):
            client.post("/", {}, NONE)
    assert len(remote.seen) == FAILURES_TO_OPEN


def test_short_deadlines_of_one_caller_do_not_cut_off_the_others(remote: Remote) -> None:
    client, hold = client_of(remote), Event()
    remote.hold = hold
    for _ in range(FAILURES_TO_OPEN + 1):
        with pytest.raises(DeadlineExceeded):
            client.post("/", {}, Deadline.after(0.01))
    hold.set()
    assert client.post("/", {}, NONE) == {}


def test_redirects_are_not_followed(remote: Remote) -> None:
    remote.status, remote.headers = 302, {"Location": "http://elsewhere.invalid/"}
    remote.body = "moved"
    with pytest.raises(DependencyDown):
        client_of(remote).post("/", {}, NONE)


@contextmanager
def answering(*answers: bytes, hung_up: Event | None = None) -> Iterator[str]:
    """A server that gives each of `answers` on a connection of its own, and hangs up behind it."""
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            for answer in answers:
                connection, _ = server.accept()
                with connection:
                    request = b""
                    # All of it: a connection that is closed over something unread is reset.
                    while not request.endswith(b"{}") and (piece := connection.recv(65536)):
                        request += piece
                    connection.sendall(answer)
                if hung_up:
                    hung_up.set()

        thread = Thread(target=serve)
        thread.start()
        yield f"http://127.0.0.1:{server.getsockname()[1]}"
        thread.join(10)


WHOLE = b'HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\n{"a": 12}'


def test_a_connection_that_the_service_closed_is_opened_anew() -> None:
    hung_up = Event()
    with answering(WHOLE, WHOLE, hung_up=hung_up) as url:
        client = ServiceClient("remote", url, timeout_s=5)
        assert client.post("/", {}, NONE) == {"a": 12}
        assert hung_up.wait(10)
        assert client.post("/", {}, NONE) == {"a": 12}


def test_a_connection_is_used_again(remote: Remote) -> None:
    client = client_of(remote)
    for _ in range(2):
        client.post("/", {}, NONE)
    assert len(set(remote.ports)) == 1


@pytest.mark.parametrize(
    "answer",
    [
        WHOLE[:-3],
        b'HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n9\r\n{"a"',
        b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n2\r\n{}\r\n",
        b"",
        b"SSH-2.0\r\n",
    ],
)
def test_an_answer_that_breaks_off_is_no_answer(answer: bytes) -> None:
    with answering(answer, answer) as url:
        for call in (ServiceClient.post, lambda *args: list(ServiceClient.lines(*args))):
            with pytest.raises(DependencyDown):
                call(ServiceClient("remote", url, timeout_s=5), "/", {}, NONE)


def test_lines_come_without_their_ends_however_the_body_is_sent() -> None:
    head = b"HTTP/1.1 200 OK\r\n"
    chunked = head + b"Transfer-Encoding: chunked\r\n\r\n4\r\na\r\nb\r\n3\r\nc\nd\r\n0\r\n\r\n"
    with answering(head + b"Content-Length: 7\r\n\r\na\r\nbc\nd", head + b"\r\na\r\nbc\nd", chunked) as url:
        for _ in range(3):  # a client of its own each: the server hangs up behind every answer
            client = ServiceClient("remote", url, timeout_s=5)
            assert list(client.lines("/", {}, NONE)) == [b"a", b"bc", b"d"]
