"""rag_server's routes, on a real es_search over a real index. A scripted service stands in for the model."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass, field
from threading import Event, Semaphore
from typing import Any

import pytest
from flask import Flask, request
from flask.testing import FlaskClient
from flask.typing import ResponseReturnValue

from es_search.app import create_app as create_search
from rag_server.app import create_app
from service_kit.settings import Settings
from tests.corpus import GENERAL, SPECIAL, index_passages
from tests.servers import free_port, served

PATH = "/get_bot_response"


def with_changes(settings: Settings, **changes: Any) -> Settings:
    return Settings(**(settings.model_dump() | changes))


@pytest.fixture
def wired(settings: Settings) -> Iterator[Settings]:
    """Settings in which es_search is up and llm_server is not."""
    index_passages(settings)
    with served(create_search(settings)) as url:
        yield with_changes(settings, search_url=url, llm_url=f"http://127.0.0.1:{free_port()}")


@pytest.fixture
def client(wired: Settings) -> FlaskClient:
    return create_app(with_changes(wired, answer="extract")).test_client()


def ask(client: FlaskClient, content: str, session: Any = "s1") -> dict[str, Any]:
    response = client.post(PATH, json={"id": session, "content": content})
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.get_json()
    return body


def test_the_tutorials_contract_holds(client: FlaskClient) -> None:
    body = ask(client, "专项债收入可以用于经常性支出吗？")
    assert body["docs"] == [SPECIAL.content, GENERAL.content]
    assert "不得用于经常性支出" in body["response"]


def test_evidence_is_numbered_and_highlighted(client: FlaskClient) -> None:
    body = ask(client, "专项债务本金通过什么偿还？")
    first = body["evidence"][0]
    assert (first["n"], first["title"], first["source"]) == (1, SPECIAL.title, "办法.docx")
    assert (first["doc_no"], first["date"], first["path"]) == ("财预〔2016〕155号", "2016-11-09", "第五条")
    assert 0 < first["score"] <= 1
    start, end = first["highlights"][0]
    assert "本金" in first["text"][start:end]
    assert body["answer_mode"] == "extract"
    assert body["refused"] is False


def test_a_follow_up_is_searched_with_its_topic(client: FlaskClient) -> None:
    ask(client, "什么是一般债务？")
    body = ask(client, "它应当通过什么偿还？")
    assert body["new_query"] == "一般债务应当通过什么偿还？"
    assert body["docs"][0] == GENERAL.content


def test_two_sessions_do_not_mix(client: FlaskClient) -> None:
    ask(client, "什么是一般债务？", "a")
    ask(client, "什么是专项债务？", "b")
    assert ask(client, "它应当通过什么偿还？", "a")["new_query"] == "一般债务应当通过什么偿还？"
    assert ask(client, "它应当通过什么偿还？", "b")["new_query"] == "专项债务应当通过什么偿还？"
    assert ask(client, "它应当通过什么偿还？", "c")["new_query"] == "它应当通过什么偿还？"


def test_clearing_answers_the_bare_text_and_forgets(client: FlaskClient) -> None:
    ask(client, "什么是一般债务？", 7)
    cleared = client.post(PATH, json={"id": "7", "content": "清空对话历史"})
    assert (cleared.status_code, cleared.text) == (200, "已清空")
    assert ask(client, "它应当通过什么偿还？", 7)["new_query"] == "它应当通过什么偿还？"


def test_a_number_and_its_text_are_the_same_session(client: FlaskClient) -> None:
    ask(client, "什么是一般债务？", 1)
    assert ask(client, "它通过什么偿还？", "1")["new_query"].startswith("一般债务")


def test_nothing_found_is_said_and_no_source_is_shown(client: FlaskClient) -> None:
    body = ask(client, "quantum chromodynamics")
    assert body["refused"] is True
    assert (body["docs"], body["evidence"]) == ([], [])
    assert "no basis" in body["response"]


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"no json",
        b"[1]",
        b"{}",
        b'{"id": 1}',
        b'{"content": "a"}',
        b'{"id": "", "content": "a"}',
        b'{"id": true, "content": "a"}',
        b'{"id": 1.5, "content": "a"}',
        b'{"id": null, "content": "a"}',
        b'{"id": 1, "content": ""}',
        b'{"id": 1, "content": "  "}',
        b'{"id": 1, "content": 5}',
        b'{"id": 1, "content": "\xff"}',
        b'{"id": 1, "content": "\\udfff"}',
        b'{"id": "' + b"x" * 129 + b'", "content": "a"}',
        '{"id": 1, "content": "专项债"}'.encode("gbk"),
    ],
)
def test_bad_input_is_a_400(client: FlaskClient, body: bytes) -> None:
    response = client.post(PATH, data=body)
    assert response.status_code == 400
    assert set(response.get_json()["error"]["allowed"]) == {"id", "content"}


def test_too_large_is_a_413(client: FlaskClient) -> None:
    body = json.dumps({"id": 1, "content": "长" * 2_100_000}).encode()
    assert client.post(PATH, data=body).status_code == 413


def test_search_down_is_a_503_that_names_it(settings: Settings) -> None:
    dead = with_changes(settings, search_url=f"http://127.0.0.1:{free_port()}", answer="extract")
    client = create_app(dead).test_client()
    response = client.post(PATH, json={"id": 1, "content": "什么是专项债务？"})
    assert response.status_code == 503
    assert response.get_json()["error"]["dependency"] == "es_search"
    assert int(response.headers["Retry-After"]) > 0
    assert client.get("/readyz").status_code == 503
    assert client.get("/history.json").get_json() == []


@pytest.mark.parametrize("answer", [{"foo": 1}, {"hits": [{}], "idf": {}, "engine": "x"}, {"docs": [1]}])
def test_a_search_service_that_breaks_its_contract_is_named(settings: Settings, answer: dict[str, Any]) -> None:
    app = Flask("broken_search")

    @app.post("/")
    def search() -> dict[str, Any]:
        return answer

    with served(app) as url:
        client = create_app(with_changes(settings, search_url=url, answer="extract")).test_client()
        response = client.post(PATH, json={"id": 1, "content": "什么是专项债务？"})
    assert (response.status_code, response.get_json()["error"]["dependency"]) == (503, "es_search")


def test_the_callers_deadline_holds(client: FlaskClient) -> None:
    body = {"id": 1, "content": "什么是专项债务？"}
    assert client.post(PATH, json=body, headers={"X-Deadline": "0.0001"}).status_code == 504


def test_one_session_is_answered_one_question_at_a_time(settings: Settings) -> None:
    app, inside, leave, at_once = Flask("slow_search"), Semaphore(0), Event(), list[int]()

    @app.post("/")
    def search() -> dict[str, Any]:
        at_once.append(1)
        inside.release()
        leave.wait(10)
        at_once.pop()
        return {"docs": [SPECIAL.content]}

    with served(app) as url:
        rag = create_app(with_changes(settings, search_url=url, answer="extract"))

        def post(session: str) -> int:
            return rag.test_client().post(PATH, json={"id": session, "content": "什么是专项债务？"}).status_code

        with ThreadPoolExecutor(3) as pool:
            first = pool.submit(post, "a")
            assert inside.acquire(timeout=10)
            waiting = pool.submit(post, "a")
            other = pool.submit(post, "b")
            assert inside.acquire(timeout=10)  # another session does not wait
            assert len(at_once) == 2
            leave.set()
            assert [future.result(10) for future in (first, waiting, other)] == [200, 200, 200]


def test_the_tutorials_own_search_service_will_do(settings: Settings) -> None:
    app = Flask("tutorial_search")

    @app.post("/")
    def search() -> dict[str, list[str]]:
        return {"docs": [SPECIAL.content]}

    with served(app) as url:
        client = create_app(with_changes(settings, search_url=url, answer="extract")).test_client()
        body = ask(client, "专项债务收入可以用于经常性支出吗？")
    assert "不得用于经常性支出" in body["response"]


class TestTrail:
    def test_it_keeps_what_was_searched_and_answered(self, client: FlaskClient) -> None:
        ask(client, "什么是一般债务？")
        answered = ask(client, "它应当通过什么偿还？")
        client.post(PATH, json={"id": "s1", "content": "清空对话历史"})
        entries = client.get("/history.json").get_json()
        assert [entry["query"] for entry in entries] == ["什么是一般债务？", "它应当通过什么偿还？"]
        assert entries[1] == {
            "query": "它应当通过什么偿还？",
            "new_query": "一般债务应当通过什么偿还？",
            "docs": answered["docs"],
            "response": answered["response"],
            "retrieval": "embedded",
        }


@dataclass
class Model:
    """llm_server's contract with scripted answers."""

    url: str = ""
    status: int = 200
    answers: list[dict[str, Any]] = field(default_factory=list)
    asked: list[list[dict[str, str]]] = field(default_factory=list)
    headers: dict[str, str] = field(default_factory=dict)


@pytest.fixture
def model() -> Iterator[Model]:
    state, app = Model(), Flask("model")

    @app.post("/")
    def chat() -> ResponseReturnValue:
        state.asked.append(request.get_json()["messages"])
        return state.answers.pop(0), state.status, state.headers

    with served(app) as state.url:
        yield state


def said(text: str, status: int = 200) -> dict[str, Any]:
    return {"response": text, "history": [], "status": status, "time": "2026-01-01 00:00:00"}


class TestGenerate:
    @pytest.fixture
    def client(self, wired: Settings, model: Model) -> FlaskClient:
        return create_app(with_changes(wired, llm_url=model.url)).test_client()

    def test_the_model_gets_numbered_references(self, client: FlaskClient, model: Model) -> None:
        model.answers = [said("不得用于经常性支出[1]。")]
        body = ask(client, "专项债务收入可以用于经常性支出吗？")
        assert (body["response"], body["answer_mode"]) == ("不得用于经常性支出[1]。", "generate")
        prompt = model.asked[0][-1]["content"]
        assert f"[1] {SPECIAL.content}" in prompt
        assert "专项债务收入可以用于经常性支出吗？" in prompt
        assert body["evidence"][0]["highlights"]

    def test_the_history_holds_bare_questions(self, client: FlaskClient, model: Model) -> None:
        model.answers = [said("甲"), said("乙")]
        ask(client, "什么是专项债务？")
        ask(client, "什么是一般债务？")
        assert model.asked[1][:2] == [
            {"role": "user", "content": "什么是专项债务？"},
            {"role": "assistant", "content": "甲"},
        ]

    @pytest.mark.parametrize(("status", "answer"), [(200, said("大模型预测出错", 444)), (200, said(" ")), (503, {})])
    def test_a_model_that_fails_leaves_the_quotation(
        self, client: FlaskClient, model: Model, status: int, answer: dict[str, Any]
    ) -> None:
        model.status, model.answers = status, [answer]
        body = ask(client, "专项债务收入可以用于经常性支出吗？")
        assert body["answer_mode"] == "extract"
        assert len(body["notices"]) == 1
        assert body["docs"]

    def test_a_model_is_not_asked_in_a_language_it_does_not_speak(self, wired: Settings, model: Model) -> None:
        client = create_app(with_changes(wired, llm_url=model.url, model_langs="en")).test_client()
        body = ask(client, "什么是专项债务？")
        assert body["answer_mode"] == "extract"
        assert "语言" in body["notices"][0]
        assert not model.asked

    def test_it_does_not_rewrite_in_it_either(self, wired: Settings, model: Model) -> None:
        client = create_app(with_changes(wired, llm_url=model.url, model_langs="en")).test_client()
        ask(client, "什么是一般债务？")
        assert ask(client, "它应当通过什么偿还？")["new_query"] == "一般债务应当通过什么偿还？"
        assert not model.asked

    @pytest.mark.parametrize("code", ["context_too_long", "payload_too_large"])
    def test_what_is_too_long_for_the_model_is_quoted(self, client: FlaskClient, model: Model, code: str) -> None:
        model.status = 400 if code == "context_too_long" else 413
        model.answers = [{"error": {"code": code, "message": "too long"}}]
        body = ask(client, "专项债务收入可以用于经常性支出吗？")
        assert (body["answer_mode"], len(body["notices"])) == ("extract", 1)

    def test_overload_is_passed_on(self, client: FlaskClient, model: Model) -> None:
        model.status, model.headers, model.answers = 429, {"Retry-After": "8"}, [{"error": {"message": "full"}}]
        response = client.post(PATH, json={"id": 1, "content": "什么是专项债务？"})
        assert (response.status_code, response.headers["Retry-After"]) == (429, "8")

    def test_a_failed_turn_leaves_no_history(self, client: FlaskClient, model: Model) -> None:
        model.status, model.answers = 429, [{"error": {"message": "full"}}]
        client.post(PATH, json={"id": "s1", "content": "什么是专项债务？"})
        model.status, model.answers = 200, [said("答")]
        assert ask(client, "它通过什么偿还？")["new_query"] == "它通过什么偿还？"

    def test_must_generate_means_no_quotation(self, wired: Settings) -> None:
        client = create_app(with_changes(wired, answer="generate")).test_client()
        response = client.post(PATH, json={"id": 1, "content": "什么是专项债务？"})
        assert response.status_code == 503
        assert response.get_json()["error"]["dependency"] == "llm_server"

    def test_nothing_found_costs_no_model_call(self, client: FlaskClient, model: Model) -> None:
        assert ask(client, "quantum chromodynamics")["refused"] is True
        assert not model.asked


def test_readiness_tells_a_missing_model_from_a_missing_search(wired: Settings) -> None:
    ready = create_app(wired).test_client().get("/readyz")
    assert ready.status_code == 200
    dependencies = ready.get_json()["dependencies"]
    assert dependencies["es_search"]["ok"] is True
    assert (dependencies["llm_server"]["ok"], dependencies["llm_server"]["required"]) == (False, False)
