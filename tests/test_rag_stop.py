"""Stopping: by POST /stop, by hanging up, on both routes; what there is of the answer is kept and marked."""

import json
import socket
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from threading import Event
from typing import Any

import pytest
import requests

from llm_server.app import create_app as create_llm
from rag_server.app import create_app
from service_kit.errors import ClientGone
from service_kit.settings import Settings
from tests.llm_fixtures import open_post
from tests.rag_fixtures import PATH, QUESTION, Rag, ask, rag, searching, with_changes
from tests.redis_server import redis_process, redis_url
from tests.servers import free_port, served, wait_until

FIRST = "专项债务收入应当用于公益性资本支出，不得用于经常性支出[1]。"


@pytest.fixture
def wired(settings: Settings) -> Iterator[Settings]:
    with searching(settings) as found:
        yield found


@pytest.fixture
def endless(wired: Settings) -> Iterator[Rag]:
    """The model writes a sentence and a half and then never ends."""
    with rag(wired, FIRST, "债务本", Event()) as found:
        yield found


def trail(served: Rag) -> list[dict[str, Any]]:
    entries: list[dict[str, Any]] = served.client.get("/trail").get_json()
    return entries


def stop(served: Rag, session: str = "s1") -> bool:
    answer = requests.post(f"{served.url}/stop", json={"id": session}, timeout=10)
    assert answer.status_code == 200
    return bool(answer.json()["stopped"])


def is_stopped(served: Rag) -> bool:
    """The model service was told."""
    return isinstance(served.engine.generations[-1].why_stop(), ClientGone)


def kept(served: Rag) -> str:
    """What was written stands in session and trail, marked."""
    wait_until(lambda: len(trail(served)) == 1, "the turn is recorded")
    entry = trail(served)[0]
    assert entry["stopped"] is True
    messages = served.client.get("/sessions/s1").get_json()["messages"]
    assert messages[-1]["content"] == entry["response"]
    assert entry["response"].endswith("\n回答被停止，内容不完整。")
    return str(entry["response"].partition("\n")[0])


def ask_until(url: str, text: str) -> socket.socket:
    """A connection on which the stream has come as far as `text`."""
    connection, seen = open_post(url + PATH, {"id": "s1", "content": QUESTION, "stream": True}), b""
    while f'"text":"{text}"'.encode() not in seen:
        piece = connection.recv(65536)
        assert piece
        seen += piece
    return connection


KEPT = FIRST + "债务本（未核实：句子没有写完）"


def test_stop_ends_a_stream_and_keeps_what_there_is(endless: Rag) -> None:
    with ask_until(endless.url, "债务本") as connection:
        assert not stop(endless, "other")
        assert stop(endless)
        data = b""
        while b"event: done" not in data or not data.endswith(b"\n\n\r\n0\r\n\r\n"):
            data += connection.recv(65536)
    body = json.loads(data.partition(b"event: done\ndata: ")[2].partition(b"\n")[0])
    assert (body["stopped"], body["answer_mode"], len(body["notices"])) == (True, "generate", 1)
    assert [one["verified"] for one in body["sentences"]] == [True, False]
    assert body["sentences"][1]["reason"] == "未核实：句子没有写完"
    assert body["response"] == KEPT
    wait_until(lambda: is_stopped(endless), "the model is told")
    assert kept(endless) == KEPT
    assert not stop(endless)


def test_stop_ends_an_answer_that_is_not_streamed(endless: Rag) -> None:
    with ThreadPoolExecutor(1) as pool:
        answer = pool.submit(ask, endless.client, QUESTION)
        wait_until(lambda: bool(endless.engine.generations), "the model is asked")
        assert stop(endless)
        body = answer.result(10)
    assert (body["stopped"], len(body["notices"])) == (True, 1)
    assert KEPT.startswith(body["response"].partition("（")[0])  # it may not have come far
    wait_until(lambda: is_stopped(endless), "the model is told")


@pytest.mark.parametrize("stream", [False, True])
def test_hanging_up_ends_the_answer_as_well(endless: Rag, stream: bool) -> None:
    if stream:
        connection = ask_until(endless.url, "债务本")
    else:
        connection = open_post(endless.url + PATH, {"id": "s1", "content": QUESTION})
        wait_until(lambda: bool(endless.engine.generations), "the model is asked")
    connection.close()
    wait_until(lambda: is_stopped(endless), "the model is told")
    wait_until(lambda: len(trail(endless)) == 1, "the turn is recorded")
    assert trail(endless)[0]["stopped"] is True
    if stream:
        assert kept(endless) == KEPT


def test_an_openai_client_that_hangs_up_ends_it_too(endless: Rag) -> None:
    ask_it = {"messages": [{"role": "user", "content": QUESTION}], "stream": True}
    connection = open_post(f"{endless.url}/v1/chat/completions", ask_it)
    wait_until(lambda: bool(endless.engine.generations), "the model is asked")
    connection.close()
    wait_until(lambda: is_stopped(endless), "the model is told")
    wait_until(lambda: len(trail(endless)) == 1, "the turn is recorded")
    assert trail(endless)[0]["stopped"] is True


def test_a_turn_that_is_stopped_before_its_first_text_leaves_no_message(wired: Settings) -> None:
    with rag(wired, Event()) as served, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(ask, served.client, QUESTION)
        wait_until(lambda: bool(served.engine.generations), "the model is asked")
        assert stop(served)
        body = answer.result(10)
        assert (body["response"], body["stopped"]) == ("", True)
        wait_until(lambda: is_stopped(served), "the model is told")
        assert served.client.get("/sessions/s1").status_code == 404
        assert trail(served)[0]["stopped"] is True


def test_another_key_can_not_stop_it(wired: Settings) -> None:
    def post(client: Any, path: str, key: str, **body: Any) -> Any:
        return client.post(path, json={"id": "s1"} | body, headers={"Authorization": f"Bearer {key}"}).get_json()

    with rag(wired, FIRST, Event(), api_keys="k1,k2") as served, ThreadPoolExecutor(1) as pool:
        answer = pool.submit(post, served.client, PATH, "k1", content=QUESTION)
        wait_until(lambda: bool(served.engine.generations), "the model is asked")
        assert post(served.client, "/stop", "k2") == {"stopped": False}
        assert post(served.client, "/stop", "k1") == {"stopped": True}
        assert answer.result(10)["stopped"] is True


@pytest.mark.slow
@pytest.mark.parametrize("hangs_up", [False, True])
def test_the_batch_engine_ends_within_one_step(wired: Settings, hangs_up: bool) -> None:
    pytest.importorskip("torch")
    from tests.batch_fixtures import batch_engine, gated, is_idle, tiny

    model = tiny("qwen2")
    with batch_engine(model) as engine, served(create_llm(wired, engine)) as llm_url:
        app = create_app(with_changes(wired, llm_url=llm_url))
        with served(app) as url, gated(model) as gate:
            connection = open_post(url + PATH, {"id": "s1", "content": "专项债务", "stream": True})
            gate.open(8)
            seen = b""
            while b"event: delta" not in seen:
                piece = connection.recv(4096)
                assert piece
                seen += piece
            wait_until(lambda: gate.asked == 9, "eight passes were made")
            if hangs_up:
                connection.close()
            else:
                assert requests.post(f"{url}/stop", json={"id": "s1"}, timeout=10).json() == {"stopped": True}
            wait_until(lambda: "yiju_llm_cancelled_total 1.0" in metrics(llm_url), "the model service knows")
            # The engine looks between two passes: it may make the one that it stands before.
            gate.open(1)
            wait_until(lambda: is_idle(engine), "its row is free")
            assert gate.asked == 9
            wait_until(lambda: bool(app.test_client().get("/trail").get_json()), "the turn is recorded")
            connection.close()


def metrics(url: str) -> str:
    return requests.get(f"{url}/metrics", timeout=10).text


def test_a_stop_reaches_the_server_that_answers(wired: Settings, tmp_path: Path) -> None:
    with redis_url(tmp_path) as url:
        shared = with_changes(wired, sessions=url)
        with rag(shared, FIRST, "债务本", Event()) as answering, served(create_app(shared)) as other:
            elsewhere = Rag(other, answering.client, answering.engine)
            assert not stop(elsewhere)
            with ask_until(answering.url, "债务本") as connection:
                assert not stop(elsewhere, "other")
                assert stop(elsewhere)
                told = b"".join(iter(lambda: connection.recv(65536), b""))
            assert b"event: done" in told
            assert is_stopped(answering)
            assert kept(answering) == KEPT
            assert not stop(elsewhere)


def test_stops_are_heard_again_after_redis_was_away(wired: Settings, tmp_path: Path) -> None:
    port = free_port()
    shared = with_changes(wired, sessions=f"redis://127.0.0.1:{port}")
    with served(create_app(shared)) as other, rag(shared, "债务本", Event()) as answering:
        elsewhere = Rag(other, answering.client, answering.engine)
        with redis_process(tmp_path, port), ask_until(answering.url, "债务本"):
            assert stop(elsewhere)
            wait_until(lambda: len(trail(answering)) == 1, "the turn is recorded")
        assert requests.post(f"{other}/stop", json={"id": "s1"}, timeout=10).status_code == 503
        with redis_process(tmp_path, port), ask_until(answering.url, "债务本"):
            wait_until(lambda: stop(elsewhere), "a stop is heard")
            wait_until(lambda: len(trail(answering)) == 1, "the turn is recorded")
