"""rag_server's routes without a model, on a real es_search over a real index."""

import json
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from threading import Event, Semaphore
from typing import Any

import pytest
from flask import Flask
from flask.testing import FlaskClient

from rag_server.app import create_app
from service_kit.settings import Settings
from tests.corpus import GENERAL, SPECIAL
from tests.rag_fixtures import PATH, ask, searching, with_changes
from tests.servers import free_port, served


@pytest.fixture
def wired(settings: Settings) -> Iterator[Settings]:
    with searching(settings) as found:
        yield found


@pytest.fixture
def client(wired: Settings) -> FlaskClient:
    return create_app(with_changes(wired, answer="extract")).test_client()


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
    assert set(response.get_json()["error"]["allowed"]) == {"id", "content", "stream"}


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


def test_readiness_tells_a_missing_model_from_a_missing_search(wired: Settings) -> None:
    ready = create_app(wired).test_client().get("/readyz")
    assert ready.status_code == 200
    dependencies = ready.get_json()["dependencies"]
    assert dependencies["es_search"]["ok"] is True
    assert (dependencies["llm_server"]["ok"], dependencies["llm_server"]["required"]) == (False, False)
