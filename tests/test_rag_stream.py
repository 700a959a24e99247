"""Streams: what is told when, that whole and streamed answers are the same, errors, heartbeats."""

import json
from collections.abc import Iterator
from threading import Event
from typing import Any

import pytest
import requests
from flask import Flask

from service_kit.errors import GenerationFailed, Overloaded
from service_kit.settings import Settings
from tests.corpus import SPECIAL
from tests.rag_fixtures import PATH, QUESTION, Told, ask, events_of, rag, searching
from tests.servers import free_port, served

TRUE = "专项债务收入应当用于公益性资本支出，不得用于经常性支出[1]。"
FALSE = "专项债务收入应当在30日内用于公益性资本支出[1]。"


@pytest.fixture
def wired(settings: Settings) -> Iterator[Settings]:
    with searching(settings) as found:
        yield found


def post(url: str, content: str = QUESTION, **more: Any) -> requests.Response:
    body = {"id": "s1", "content": content, "stream": True}
    return requests.post(url + PATH, json=body, timeout=30, **more)


def told_by(url: str, content: str = QUESTION) -> list[Told]:
    response = post(url, content)
    assert response.status_code == 200, response.text
    response.encoding = "utf-8"
    return events_of(response.text)


def test_what_is_told_and_in_which_order(wired: Settings) -> None:
    with rag(wired, TRUE[:10], TRUE[10:] + "\n\n" + FALSE[:5], FALSE[5:]) as served:
        told = told_by(served.url)
        whole = ask(served.client, QUESTION, "another session")
    names = [one.name for one in told]
    assert names[:5] == ["status", "status", "status", "evidence", "delta"]
    assert [one.data["stage"] for one in told[:3]] == ["understand", "retrieve", "answer"]
    assert told[3].data["evidence"][0]["title"] == SPECIAL.title
    assert (names.count("sentence"), names[-1]) == (2, "done")
    done = told[-1].data
    assert "".join(one.data["text"] for one in told if one.name == "delta") == done["response"]
    assert [one.data for one in told if one.name == "sentence"] == done["sentences"]
    for body in (done, whole):
        del body["timings"], body["trace_id"]
    assert done == whole


def test_a_sentence_is_checked_as_soon_as_it_ends(wired: Settings) -> None:
    go_on = Event()
    with rag(wired, FALSE, "债务", go_on, "本金。") as served, post(served.url, stream=True) as response:
        seen = ""
        for line in response.iter_lines(chunk_size=1):
            seen += line.decode() + "\n"
            if '"text":"债务"' in seen and not line:
                break
        text, sentence, mark, rest = events_of(seen)[-4:]
        assert (text.data["text"], rest.data["text"]) == (FALSE, "债务")
        assert (sentence.name, sentence.data["verified"], sentence.data["text"]) == ("sentence", False, FALSE)
        assert mark.data["text"].startswith("（未核实：")
        go_on.set()


def test_the_head_lets_nothing_buffer_it(wired: Settings) -> None:
    with rag(wired, TRUE) as served:
        response = post(served.url)
    assert response.headers["Content-Type"] == "text/event-stream; charset=utf-8"
    assert (response.headers["X-Accel-Buffering"], response.headers["Cache-Control"]) == ("no", "no-cache")


def test_comments_come_while_nothing_else_does(wired: Settings) -> None:
    go_on = Event()
    with rag(wired, TRUE, go_on, heartbeat_s=0.05) as served, post(served.url, stream=True) as response:
        lines = (line for line in response.iter_lines(chunk_size=1))
        assert next(line for line in lines if line.startswith(b":"))
        go_on.set()
        assert any(line == b"event: done" for line in lines)


def test_an_extract_is_streamed_as_well(wired: Settings) -> None:
    with rag(wired, answer="extract") as served:
        told = told_by(served.url)
    done = told[-1].data
    assert [one.name for one in told][2:5] == ["status", "evidence", "delta"]
    assert (done["answer_mode"], done["verified"]) == ("extract", True)
    assert done["sentences"]
    assert all(one["verified"] and one["text"] in SPECIAL.text for one in done["sentences"] if one["cites"] == [1])


def test_a_refusal_shows_no_evidence(wired: Settings) -> None:
    with rag(wired, TRUE) as served:
        told = told_by(served.url, "quantum chromodynamics")
    assert [one.data["evidence"] for one in told if one.name == "evidence"] == [[]]
    assert told[-1].data["refused"] is True


def test_clearing_answers_under_stream_as_well(wired: Settings) -> None:
    with rag(wired, TRUE) as served:
        told_by(served.url, "什么是一般债务？")
        cleared = told_by(served.url, "清空对话历史")
        follow_up = told_by(served.url, "它应当通过什么偿还？")
    assert [one.name for one in cleared] == ["delta", "done"]
    assert cleared[-1].data["response"] == "已清空"
    assert follow_up[-1].data["new_query"] == "它应当通过什么偿还？"


def test_a_model_that_breaks_in_the_middle_withdraws_what_was_shown(wired: Settings) -> None:
    with rag(wired, "专项债务", GenerationFailed("坏", "broken")) as served:
        told = told_by(served.url)
    restart = next(i for i, one in enumerate(told) if one.data.get("stage") == "restart")
    assert "".join(one.data["text"] for one in told[:restart] if one.name == "delta") == "专项债务"
    done = told[-1].data
    assert "".join(one.data["text"] for one in told[restart:] if one.name == "delta") == done["response"]
    assert (done["answer_mode"], len(done["notices"])) == ("extract", 1)


def test_an_error_after_the_start_is_an_event_with_the_same_body(wired: Settings) -> None:
    with rag(wired, "专项债务", GenerationFailed("坏", "broken"), answer="generate") as served:
        told = told_by(served.url)
    assert told[-1].name == "error"
    error = told[-1].data["error"]
    assert (error["code"], error["dependency"]) == ("dependency_down", "llm_server")
    assert "llm_server" in error["message"]


def test_errors_before_the_start_are_plain(wired: Settings) -> None:
    with rag(wired, TRUE) as served:
        assert post(served.url, " ").status_code == 400
        served.engine.refusal = Overloaded("满", "full", retry_after=8)
        busy = post(served.url)
        assert (busy.status_code, busy.headers["Retry-After"]) == (429, "8")
    with rag(wired, TRUE, search_url=f"http://127.0.0.1:{free_port()}") as served:
        response = post(served.url)
    assert (response.status_code, response.json()["error"]["dependency"]) == (503, "es_search")
    assert int(response.headers["Retry-After"]) > 0


def test_slow_stages_are_told_before_the_search_has_answered(settings: Settings) -> None:
    app, go_on = Flask("slow_search"), Event()

    @app.post("/")
    def search() -> dict[str, Any]:
        assert go_on.wait(20)
        return {"hits": [], "idf": {}, "engine": "x", "retrieval_mode": "hybrid"}

    with (
        served(app) as url,
        rag(settings, search_url=url, answer="extract") as rag_server,
        post(rag_server.url, stream=True) as response,
    ):
        lines = response.iter_lines(chunk_size=1)
        assert next(lines) == b"event: status"
        go_on.set()
        data = [line for line in lines if line.startswith(b"data: ")]
    assert json.loads(data[-1].removeprefix(b"data: "))["retrieval_mode"] == "hybrid"


def test_a_session_streams_one_answer_at_a_time(wired: Settings) -> None:
    go_on = Event()
    with rag(wired, TRUE, go_on) as served, post(served.url, stream=True) as first:
        lines = first.iter_lines(chunk_size=1)  # kept: the connection closes with it
        next(lines)
        late = requests.post(
            served.url + PATH,
            json={"id": "s1", "content": QUESTION, "stream": True},
            headers={"X-Deadline": "0.2"},
            timeout=30,
        )
        assert late.status_code == 504
        go_on.set()
        assert b"event: done" in lines
