"""llm_stream_server's contract, in front of an llm_server whose engine plays a script; looked at on the wire."""

import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager
from typing import Any

import pytest
import requests
from flask.testing import FlaskClient

from llm_server.app import create_app as create_llm
from llm_stream_server.app import create_app, make_client
from service_kit.errors import GenerationFailed, ModelUnavailable, Overloaded, YijuError
from service_kit.generation import Message, Sampling
from service_kit.settings import load_settings
from tests.llm_fixtures import BAD_CHATS, ScriptedEngine, open_post, read_all
from tests.servers import free_port, served

ASK = {"messages": [{"role": "user", "content": "什么是专项债务？"}]}


@contextmanager
def streaming(upstream: ScriptedEngine, **settings: Any) -> Iterator[str]:
    """The URL of an llm_stream_server in front of `upstream`."""
    with served(create_llm(load_settings(**settings), upstream)) as llm_url:
        own = load_settings(llm_url=llm_url, **settings)
        with closing(make_client(own)) as llm, served(create_app(own, llm)) as url:
            yield f"{url}/"


@contextmanager
def client_without_llm(llm_url: str) -> Iterator[FlaskClient]:
    settings = load_settings(llm_url=llm_url)
    with closing(make_client(settings)) as llm:
        yield create_app(settings, llm).test_client()


def test_the_text_comes_as_plain_text_in_the_pieces_in_which_it_is_made() -> None:
    go = threading.Event()
    with streaming(ScriptedEngine("专项\n", go, "债务")) as url:
        response = requests.post(url, json=ASK, stream=True, timeout=20)
        assert response.headers["Content-Type"] == "text/plain; charset=utf-8"
        assert response.headers["X-Accel-Buffering"] == "no"
        assert response.headers["Transfer-Encoding"] == "chunked"
        pieces = response.iter_content(None)
        assert next(pieces).decode() == "专项\n"  # while the engine still waits
        go.set()
        assert b"".join(pieces).decode() == "债务"


def test_a_whole_answer_ends_with_the_final_chunk() -> None:
    with streaming(ScriptedEngine("专项", "债务")) as url, open_post(url, ASK) as connection:
        data = read_all(connection)
    assert data.endswith("6\r\n专项\r\n6\r\n债务\r\n0\r\n\r\n".encode())


def test_an_empty_answer_is_an_empty_text() -> None:
    with streaming(ScriptedEngine()) as url:
        response = requests.post(url, json=ASK, timeout=20)
    assert (response.status_code, response.text) == (200, "")


def test_an_answer_that_breaks_off_ends_without_the_final_chunk() -> None:
    broken = ScriptedEngine("专项", GenerationFailed("坏", "broken"))
    with streaming(broken) as url, open_post(url, ASK) as connection:
        data = read_all(connection)
    assert data.startswith(b"HTTP/1.1 200")
    assert data.endswith("6\r\n专项\r\n".encode())
    with streaming(broken) as url, pytest.raises(requests.exceptions.ChunkedEncodingError):
        requests.post(url, json=ASK, timeout=20)


@pytest.mark.parametrize(
    ("engine", "status", "code"),
    [
        (ScriptedEngine(refusal=Overloaded("忙", "busy", retry_after=7)), 429, "overloaded"),
        (ScriptedEngine(refusal=ModelUnavailable("未设置模型", "no model")), 503, "dependency_down"),
        (ScriptedEngine(GenerationFailed("坏", "broken")), 500, "generation_failed"),
    ],
)
def test_an_error_before_the_first_text_is_json(engine: ScriptedEngine, status: int, code: str) -> None:
    with streaming(engine) as url:
        response = requests.post(url, json=ASK, timeout=20)
    error = response.json()["error"]
    assert (response.status_code, error["code"]) == (status, code)
    assert "llm_server" in error["message"]
    assert ("Retry-After" in response.headers) == (status != 500)
    if isinstance(engine.refusal, YijuError):
        assert engine.refusal.words.zh in error["message"]


def test_without_llm_server_the_answer_names_it_and_says_when_to_come_back() -> None:
    llm_url = f"http://127.0.0.1:{free_port()}"
    with client_without_llm(llm_url) as client:
        response = client.post("/", json=ASK)
        healthy, ready = client.get("/healthz"), client.get("/readyz")
    assert response.status_code == 503
    assert int(response.headers["Retry-After"]) >= 1
    message = response.get_json()["error"]["message"]
    assert "llm_server" in message
    assert llm_url in message
    assert healthy.status_code == 200
    assert (ready.status_code, ready.get_json()["dependencies"]["llm_server"]["ok"]) == (503, False)


def test_ready_follows_llm_server() -> None:
    with streaming(ScriptedEngine()) as url:
        assert requests.get(f"{url}readyz", timeout=20).status_code == 200
    with streaming(ScriptedEngine(refusal=ModelUnavailable("未设置模型", "no model"))) as url:
        response = requests.get(f"{url}readyz", timeout=20)
    assert response.status_code == 503
    assert "未设置模型" in response.json()["dependencies"]["llm_server"]["message"]


def test_a_passed_deadline_is_a_504() -> None:
    with streaming(ScriptedEngine(threading.Event())) as url:
        response = requests.post(url, json=ASK, headers={"X-Deadline": "0.3"}, timeout=20)
    assert (response.status_code, response.json()["error"]["code"]) == (504, "deadline_exceeded")


@pytest.mark.parametrize("body", BAD_CHATS)
def test_bad_input_is_the_same_400_as_on_llm_server(body: bytes) -> None:
    with client_without_llm("http://127.0.0.1:1") as client:
        own = client.post("/", data=body)
    theirs = create_llm(load_settings(), ScriptedEngine()).test_client().post("/", data=body)
    assert (own.status_code, own.get_json()["error"]) == (400, theirs.get_json()["error"])


def test_a_body_over_the_limit_is_a_413() -> None:
    with client_without_llm("http://127.0.0.1:1") as client:
        assert client.post("/", data=b"x" * (2 * 1024 * 1024 + 1)).status_code == 413


def test_request_id_deadline_key_and_sampling_go_on_to_llm_server() -> None:
    engine = ScriptedEngine("一")
    headers = {"X-Request-ID": "id-of-mine", "X-Deadline": "15", "Authorization": "Bearer key-1"}
    fields = {"temperature": 0.5, "top_k": 5, "repetition_penalty": 1.1, "seed": 3, "stop": ["。"], "max_tokens": 9}
    with streaming(engine, api_keys="key-1") as url:
        assert requests.post(url, json=ASK, timeout=20).status_code == 401
        response = requests.post(url, json={**ASK, **fields}, headers=headers, timeout=20)
    assert response.text == "一"
    assert response.headers["X-Request-ID"] == "id-of-mine"
    assert engine.request_ids == ["id-of-mine"]
    request = engine.requests[0]
    assert request.prompt == (Message("user", "什么是专项债务？"),)
    assert request.sampling == Sampling(0.5, None, 5, 1.1, 3, ("。",), 9)
    assert 0 < request.deadline.remaining() <= 15
