"""llm_server's contracts, with an engine that plays a script."""

import json
import subprocess
import sys
import threading
from typing import Any

import pytest
from flask.testing import FlaskClient

from llm_server.app import create_app
from llm_server.engines.engine import Prompt
from llm_server.engines.none import NoEngine
from service_kit.errors import ContextTooLong, DependencyDown, GenerationFailed, ModelUnavailable, NotFound, Overloaded
from service_kit.generation import Message, Sampling
from service_kit.settings import Settings, load_settings
from tests.llm_fixtures import BAD_CHATS, ScriptedEngine

CHAT = "/v1/chat/completions"
ASK = {"messages": [{"role": "user", "content": "什么是专项债务？"}]}
BROKEN = GenerationFailed("显存不足", "out of memory")


def client_of(stand_in: Any, /, **settings: Any) -> FlaskClient:
    return create_app(load_settings(**settings), stand_in).test_client()


def events(data: str) -> list[Any]:
    lines = [line.removeprefix("data: ") for line in data.split("\n\n") if line]
    return [line if line == "[DONE]" else json.loads(line) for line in lines]


def test_the_tutorial_s_answer() -> None:
    response = client_of(ScriptedEngine("专项", "债务")).post("/", json=ASK)
    assert response.status_code == 200
    body = response.get_json()
    assert body.pop("time").count(":") == 2
    assert body == {"response": "专项债务", "history": [], "status": 200}


def test_a_generation_that_fails_is_the_tutorial_s_444() -> None:
    response = client_of(ScriptedEngine("专项", BROKEN)).post("/", json=ASK)
    assert response.status_code == 200
    body = response.get_json()
    assert (body["response"], body["history"], body["status"]) == ("大模型预测出错:显存不足", [["", ""]], 444)


REFUSALS = [
    (Overloaded("忙", "busy", retry_after=7), 429, "overloaded"),
    (ModelUnavailable("无", "none"), 503, "model_unavailable"),
    (DependencyDown("断", "down"), 503, "dependency_down"),
    (ContextTooLong("长", "long"), 400, "context_too_long"),
]


@pytest.mark.parametrize(("refusal", "status", "code"), REFUSALS)
def test_a_refusal_on_the_tutorial_s_route_can_be_printed_by_its_clients(refusal: Any, status: int, code: str) -> None:
    response = client_of(ScriptedEngine(refusal=refusal)).post("/", json=ASK)
    body = response.get_json()
    assert (response.status_code, body["status"], body["error"]["code"]) == (status, status, code)
    assert body["response"] == body["error"]["message"] == refusal.words.zh
    assert body["history"] == [["", ""]]
    assert body["time"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(("refusal", "status", "code"), REFUSALS)
def test_a_refusal_in_openai_s_form(refusal: Any, status: int, code: str, stream: bool) -> None:
    response = client_of(ScriptedEngine(refusal=refusal)).post(CHAT, json={**ASK, "stream": stream})
    error = response.get_json()["error"]
    assert (response.status_code, error["code"], error["message"]) == (status, code, refusal.words.zh)
    assert error["type"] == ("invalid_request_error" if status < 500 else "server_error")


def test_overload_says_when_to_come_back() -> None:
    response = client_of(ScriptedEngine(refusal=REFUSALS[0][0])).post("/", json=ASK)
    assert response.headers["Retry-After"] == "7"


@pytest.mark.parametrize("stream", [False, True])
def test_a_model_that_breaks_before_its_first_text_is_a_500_for_openai_s_clients(stream: bool) -> None:
    response = client_of(ScriptedEngine(BROKEN)).post(CHAT, json={**ASK, "stream": stream})
    assert (response.status_code, response.get_json()["error"]["code"]) == (500, "generation_failed")


@pytest.mark.parametrize("path", ["/", CHAT])
def test_a_passed_deadline_is_a_504(path: str) -> None:
    client = client_of(ScriptedEngine(threading.Event()))
    response = client.post(path, json=ASK, headers={"X-Deadline": "0.05"})
    assert (response.status_code, response.get_json()["error"]["code"]) == (504, "deadline_exceeded")


def test_the_service_s_own_limit_holds_without_a_deadline() -> None:
    response = client_of(ScriptedEngine(threading.Event()), generate_timeout_s=0.05).post("/", json=ASK)
    assert response.status_code == 504


def test_a_whole_completion() -> None:
    body = client_of(ScriptedEngine("专项", "债务")).post(CHAT, json={**ASK, "model": "gpt-4o"}).get_json()
    assert body["object"] == "chat.completion"
    assert body["model"] == "scripted"
    assert body["choices"][0]["message"] == {"role": "assistant", "content": "专项债务"}
    assert body["choices"][0]["finish_reason"] == "stop"
    assert body["usage"] == {"prompt_tokens": 7, "completion_tokens": 2, "total_tokens": 9}


def test_a_streamed_completion() -> None:
    response = client_of(ScriptedEngine("专项", "债务")).post(CHAT, json={**ASK, "stream": True})
    assert response.headers["X-Accel-Buffering"] == "no"
    assert response.content_type.startswith("text/event-stream")
    *chunks, done = events(response.text)
    assert done == "[DONE]"
    assert [chunk["choices"][0]["delta"] for chunk in chunks] == [
        {"role": "assistant", "content": "专项"},
        {"content": "债务"},
        {},
    ]
    assert [chunk["choices"][0]["finish_reason"] for chunk in chunks] == [None, None, "stop"]
    assert len({chunk["id"] for chunk in chunks}) == 1
    assert not any("usage" in chunk for chunk in chunks)


def test_a_streamed_completion_with_usage() -> None:
    ask = {**ASK, "stream": True, "stream_options": {"include_usage": True}}
    *chunks, last, done = events(client_of(ScriptedEngine("一")).post(CHAT, json=ask).text)
    assert done == "[DONE]"
    assert last["choices"] == []
    assert last["usage"]["total_tokens"] == 8
    assert all(chunk["usage"] is None for chunk in chunks)


def test_an_empty_answer_is_an_answer() -> None:
    client = client_of(ScriptedEngine())
    assert client.post("/", json=ASK).get_json()["response"] == ""
    chunk, _ = events(client.post(CHAT, json={**ASK, "stream": True}).text)
    assert chunk["choices"][0]["delta"] == {"role": "assistant"}
    assert chunk["choices"][0]["finish_reason"] == "stop"


def test_sampling_fields_reach_the_engine_on_both_routes() -> None:
    engine = ScriptedEngine("一")
    fields = {"temperature": 0.5, "top_p": 0.9, "top_k": 5, "repetition_penalty": 1.1, "seed": 3, "max_tokens": 9}
    for path in ("/", CHAT):
        client_of(engine).post(path, json={**ASK, **fields, "stop": "。"})
    expected = Sampling(0.5, 0.9, 5, 1.1, 3, ("。",), 9)
    assert [request.sampling for request in engine.requests] == [expected, expected]


def test_what_openai_s_clients_write_differently() -> None:
    engine = ScriptedEngine("一")
    parts = [{"type": "text", "text": "什么是"}, {"type": "text", "text": "专项债务？"}]
    messages = [{"role": "developer", "content": "简短"}, {"role": "user", "content": parts}]
    ask = {"messages": messages, "max_completion_tokens": 5, "stop": None, "temperature": None, "tools": []}
    assert client_of(engine).post(CHAT, json=ask).status_code == 200
    assert engine.requests[0].prompt == (Message("system", "简短"), Message("user", "什么是专项债务？"))
    assert engine.requests[0].sampling == Sampling(max_tokens=5)


BAD_COMPLETIONS = [
    b'{"messages": [{"role": "user", "content": "hi"}], %s}' % field
    for field in (b'"n": 2', b'"stream": "yes"', b'"stream_options": 1', b'"max_completion_tokens": 0', b'"model": 1')
]
BAD_TOKENIZES = [b"", b"{}", b'{"text": 1}', b'{"text": "\\ud800"}', b'{"text": "\xff"}', b'{"messages": [1]}']
BAD_TOKENIZES += [b'{"text": "a", "messages": [{"role": "user", "content": "b"}]}', b"nope", b"[]"]


@pytest.mark.parametrize(
    ("path", "body"),
    [
        *(("/", body) for body in BAD_CHATS),
        *((CHAT, body) for body in BAD_CHATS + BAD_COMPLETIONS),
        *(("/v1/tokenize", body) for body in BAD_TOKENIZES),
    ],
)
def test_bad_input_is_a_400_in_the_route_s_form(path: str, body: bytes) -> None:
    engine = ScriptedEngine("一")
    response = client_of(engine).post(path, data=body)
    assert response.status_code == 400
    answer = response.get_json()
    assert answer["error"]["code"] == "invalid_request"
    assert answer["error"]["allowed"]
    assert ("response" in answer) == (path == "/")
    assert ("type" in answer["error"]) == (path != "/")
    assert not engine.requests


@pytest.mark.parametrize("path", ["/", CHAT, "/v1/tokenize"])
def test_a_body_over_the_limit_is_a_413(path: str) -> None:
    body = json.dumps({"messages": [{"role": "user", "content": "x" * (2 * 1024 * 1024)}]})
    response = client_of(ScriptedEngine("一")).post(path, data=body)
    assert (response.status_code, response.get_json()["error"]["code"]) == (413, "payload_too_large")


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/", 405), ("GET", CHAT, 405), ("GET", "/v1/x", 404)])
def test_wrong_paths_and_methods_are_json(method: str, path: str, status: int) -> None:
    response = client_of(ScriptedEngine("一")).open(path, method=method)
    assert response.status_code == status
    assert response.get_json()["error"]["message"]


def test_the_model_is_listed() -> None:
    body = client_of(ScriptedEngine(), model_langs="en").get("/v1/models").get_json()
    assert body["object"] == "list"
    assert [(model["id"], model["max_model_len"], model["languages"]) for model in body["data"]] == [
        ("scripted", 8192, ["en"])
    ]


def test_tokens_are_counted() -> None:
    client = client_of(ScriptedEngine())
    for ask in ({"text": "四个字啊"}, {"messages": [{"role": "user", "content": "四个字啊"}]}):
        body = client.post("/v1/tokenize", json=ask).get_json()
        assert body == {"count": 4, "max_model_len": 8192, "has_chat_template": True}


def test_many_texts_are_counted_at_once() -> None:
    body = client_of(ScriptedEngine()).post("/v1/tokenize", json={"texts": ["四个字啊", "", "二字"]}).get_json()
    assert body == {"counts": [4, 0, 2], "max_model_len": 8192, "has_chat_template": True}


def test_an_engine_without_a_tokenizer_says_so_for_many_texts() -> None:
    class Uncounting(ScriptedEngine):
        def count(self, prompt: Prompt) -> int:
            raise NotFound("没有", "none")

    client = client_of(Uncounting())
    assert client.post("/v1/tokenize", json={"texts": ["字"]}).get_json()["counts"] is None
    assert client.post("/v1/tokenize", json={"text": "字"}).status_code == 404


@pytest.mark.parametrize(
    ("method", "path"), [("POST", "/"), ("POST", CHAT), ("POST", "/v1/tokenize"), ("GET", "/v1/models")]
)
def test_without_a_model_every_answer_says_how_to_set_one(method: str, path: str, settings: Settings) -> None:
    client = create_app(settings).test_client()
    response = client.open(path, method=method, json={**ASK, "text": None} if method == "POST" else None)
    assert response.status_code == 503
    message = response.get_json()["error"]["message"]
    assert "YIJU_MODEL" in message
    assert "YIJU_OPENAI_URL" in message


def test_without_a_model_the_service_is_alive_but_not_ready() -> None:
    client = client_of(NoEngine())
    assert client.get("/healthz").status_code == 200
    ready = client.get("/readyz")
    assert ready.status_code == 503
    assert "YIJU_MODEL" in ready.get_json()["dependencies"]["model"]["message"]


def test_ready_shows_the_model() -> None:
    shown = client_of(ScriptedEngine(), engine="serial").get("/readyz").get_json()["dependencies"]["model"]
    assert (shown["ok"], shown["name"], shown["engine"]) == (True, "scripted", "serial")


def value_of(client: FlaskClient, name: str) -> float:
    lines = client.get("/metrics").text.splitlines()
    return float(next(line.split()[-1] for line in lines if line.startswith(f"{name} ")))


def test_metrics_count_what_was_made_and_what_was_refused() -> None:
    engine = ScriptedEngine("一", "二")
    client = client_of(engine)
    client.post("/", json=ASK)
    assert client.post(CHAT, json={**ASK, "stream": True}).text
    engine.steps = ("一", BROKEN)
    client.post("/", json=ASK)
    engine.refusal = Overloaded("忙", "busy")
    client.post("/", json=ASK)
    names = ("tokens_generated_total", "ttft_seconds_count", "failed_total", "rejected_total", "cancelled_total")
    assert [value_of(client, f"yiju_llm_{name}") for name in names] == [4, 3, 1, 1, 0]
    assert value_of(client, "yiju_llm_queue_depth") == value_of(client, "yiju_llm_running") == 0


def test_a_stream_that_is_closed_early_ends_the_making() -> None:
    engine = ScriptedEngine("一", threading.Event())
    client = client_of(engine)
    response = client.post(CHAT, json={**ASK, "stream": True}, buffered=False)
    response.close()
    assert engine.generations[0].why_stop() is not None
    assert value_of(client, "yiju_llm_cancelled_total") == 1


def test_a_service_without_a_model_needs_no_torch() -> None:
    code = (
        "import sys\n"
        "from llm_server.app import create_app\n"
        "from service_kit.settings import load_settings\n"
        "create_app(load_settings())\n"
        "assert not {'torch', 'transformers'} & set(sys.modules)\n"
    )
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
