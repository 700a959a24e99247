"""What the load test calls a failure, against servers that fail for real."""

import json
import socket
import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest
from flask import Flask, Response, jsonify
from flask.typing import ResponseReturnValue

from service_kit.settings import Settings
from tests.servers import free_port, served
from tools.load_test.figures import Figures, figures
from tools.load_test.judge import NO_FINAL_CHUNK, judge_events
from tools.load_test.loads import Rounds
from tools.load_test.run import run_load
from tools.load_test.sample import Sample
from tools.load_test.target import Name, Target

ONE = Rounds(1, 1)
OK = {"response": "好", "history": [], "status": 200, "time": ""}


def answering(answer: Callable[[], ResponseReturnValue]) -> Flask:
    app = Flask("remote")
    app.add_url_rule("/", view_func=answer, methods=["POST"])
    return app


def measured(settings: Settings, url: str, name: Name = "llm", *, timeout_s: float = 10) -> tuple[Sample, Figures]:
    """One request and the figures of its run."""
    run = run_load(ONE, Target(name, url), ("什么是专项债务？",), settings, timeout_s=timeout_s)
    (sample,) = run.samples
    return sample, figures(run)


@contextmanager
def speaking(response: bytes) -> Iterator[str]:
    """The URL of a server that says `response`, byte for byte, to its first request and hangs up."""
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def speak() -> None:
            connection, _ = listener.accept()
            with connection:
                connection.recv(65536)
                connection.sendall(response)

        thread = threading.Thread(target=speak)
        thread.start()
        yield f"http://127.0.0.1:{listener.getsockname()[1]}/"
        thread.join()


def chunked(content_type: str, *chunks: str, ends: bool = True) -> bytes:
    """A chunked response; without `ends` the final chunk is missing."""
    head = f"HTTP/1.1 200 OK\r\nContent-Type: {content_type}\r\nTransfer-Encoding: chunked\r\n\r\n".encode()
    body = b"".join(b"%x\r\n%b\r\n" % (len(chunk.encode()), chunk.encode()) for chunk in chunks)
    return head + body + (b"0\r\n\r\n" if ends else b"")


def event(text: str) -> str:
    data = {"choices": [{"index": 0, "delta": {"content": text}}]}
    return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"


PLAIN, EVENTS, DONE = "text/plain; charset=utf-8", "text/event-stream", "data: [DONE]\n\n"


@pytest.mark.parametrize(
    ("body", "status", "fault"),
    [
        (OK, 200, None),
        (OK, 500, "HTTP 500"),
        (OK | {"status": 444, "response": "内存不足"}, 200, "status 444"),
        (OK | {"response": " \n"}, 200, "empty answer"),
        ({"docs": []}, 200, "no answer in the body"),
        (["好"], 200, "no answer in the body"),
    ],
)
def test_an_answer_is_judged_by_its_body(settings: Settings, body: object, status: int, fault: str | None) -> None:
    with served(answering(lambda: (jsonify(body), status))) as url:
        sample, found = measured(settings, url)
    assert sample.fault == fault
    assert found.faults == ({fault: 1} if fault else {})
    assert found.failures == (fault is not None)


@pytest.mark.parametrize(("status", "name"), [(429, "HTTP 429"), (503, "HTTP 503")])
def test_refusals_are_counted_apart_with_their_retry_after(settings: Settings, status: int, name: str) -> None:
    with served(answering(lambda: (jsonify(OK), status, {"Retry-After": "7"}))) as url:
        _, found = measured(settings, url)
    assert found.refusals[name].count == found.refused == found.failures == 1
    assert found.refusals[name].retry_after == (7, 7)
    assert not found.faults
    assert found.latency is None, "a refusal is no quick answer"


def test_no_server_is_a_fault_with_a_name(settings: Settings) -> None:
    sample, _ = measured(settings, f"http://127.0.0.1:{free_port()}/")
    assert sample.fault == "no connection"


def test_a_server_that_does_not_answer_in_time_is_a_timeout(settings: Settings) -> None:
    over = threading.Event()

    def answer() -> ResponseReturnValue:
        over.wait(10)
        return jsonify(OK)

    with served(answering(answer)) as url:
        sample, _ = measured(settings, url, timeout_s=0.2)
        over.set()
    assert sample.fault == "timeout"


def test_a_server_that_hangs_up_is_a_fault(settings: Settings) -> None:
    with speaking(b"") as url:
        assert measured(settings, url)[0].fault == "connection broke"


def test_json_that_breaks_off_is_a_fault(settings: Settings) -> None:
    with speaking(b'HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: 99\r\n\r\n{"resp') as url:
        assert measured(settings, url)[0].fault == "answer broke off"


def test_pieces_of_plain_text_are_timed(settings: Settings) -> None:
    with speaking(chunked(PLAIN, "专项", "债务")) as url:
        sample, found = measured(settings, url, "stream")
    assert sample.ok
    assert sample.ttft is not None
    assert 0 < sample.ttft <= sample.latency
    assert len(sample.gaps) == 1
    assert sample.tokens == 2
    assert found.ttft and found.gap and found.all_tokens_per_s


def test_a_plain_stream_without_its_final_chunk_is_a_fault(settings: Settings) -> None:
    with speaking(chunked(PLAIN, "专项", ends=False)) as url:
        assert measured(settings, url, "stream")[0].fault == NO_FINAL_CHUNK


def test_a_plain_stream_that_only_the_connection_ends_is_a_fault(settings: Settings) -> None:
    with speaking(b"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nConnection: close\r\n\r\n\xe4\xb8\x93") as url:
        assert measured(settings, url, "stream")[0].fault == NO_FINAL_CHUNK


def test_an_empty_stream_is_an_empty_answer(settings: Settings) -> None:
    with speaking(chunked(PLAIN)) as url:
        assert measured(settings, url, "stream")[0].fault == "empty answer"


def test_a_service_that_fails_in_mid_stream_is_noticed(settings: Settings) -> None:
    def pieces() -> Iterator[str]:
        yield "专项"
        raise RuntimeError("the model broke")

    with served(answering(lambda: Response(pieces(), content_type=PLAIN))) as url:
        assert measured(settings, url, "stream")[0].fault == NO_FINAL_CHUNK


def test_events_are_an_answer_when_done_has_come(settings: Settings) -> None:
    usage = 'data: {"choices": [], "usage": {"completion_tokens": 5}}\n\n'
    with speaking(chunked(EVENTS, event(""), event("专项"), event("债务"), usage, DONE)) as url:
        sample, _ = measured(settings, url, "chat")
    assert sample.ok
    assert len(sample.gaps) == 1, "an event without text is no piece"
    assert sample.tokens == 5, "tokens as the server counts them"


@pytest.mark.parametrize("response", [chunked(EVENTS, event("专项")), chunked(EVENTS, event("专项"), DONE, ends=False)])
def test_events_without_their_end_are_a_fault(settings: Settings, response: bytes) -> None:
    with speaking(response) as url:
        assert measured(settings, url, "chat")[0].fault == NO_FINAL_CHUNK


def test_an_error_event_is_a_fault() -> None:
    assert judge_events('data: {"error": {"message": "…"}}\n\n' + DONE, complete=True).fault == "error in the stream"


def test_an_event_cut_in_two_by_the_transport_is_one_piece(settings: Settings) -> None:
    whole = event("专项债务")
    with speaking(chunked(EVENTS, whole[:9], whole[9:], DONE)) as url:
        sample, _ = measured(settings, url, "chat")
    assert sample.ok
    assert sample.tokens == 1
