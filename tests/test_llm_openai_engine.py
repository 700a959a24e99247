"""The openai engine, and the chat client under it, against servers that behave and servers that do not."""

import threading
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import pytest
from flask import Flask, Response

from llm_server.app import create_app
from llm_server.engines.choose import choose_engine
from llm_server.engines.engine import Load, Request
from llm_server.engines.openai import OpenAIEngine
from service_kit.deadline import Deadline
from service_kit.errors import (
    ClientGone,
    ContextTooLong,
    DeadlineExceeded,
    DependencyDown,
    GenerationFailed,
    InvalidRequest,
    NotFound,
    Overloaded,
    SettingsError,
    YijuError,
)
from service_kit.generation import Message, Sampling, Usage
from service_kit.settings import load_settings
from tests.llm_fixtures import ScriptedEngine
from tests.servers import free_port, served, wait_until


@contextmanager
def engine_at(url: str, **settings: Any) -> Iterator[OpenAIEngine]:
    engine = OpenAIEngine(load_settings(openai_url=url, **settings))
    yield engine
    engine.close()


@contextmanager
def engine_over(upstream: ScriptedEngine, **settings: Any) -> Iterator[OpenAIEngine]:
    with served(create_app(load_settings(), upstream)) as url, engine_at(url, **settings) as engine:
        yield engine


def ask(deadline: Deadline | None = None, **sampling: Any) -> Request:
    return Request((Message("user", "hi"),), Sampling(**sampling), deadline or Deadline.after(20))


def test_pieces_pass_through_as_they_come() -> None:
    go = threading.Event()
    with engine_over(ScriptedEngine("专项", go, "债务")) as engine:
        generation = engine.begin(ask())
        pieces = iter(generation)
        assert next(pieces) == "专项"
        assert engine.load() == Load(waiting=0, running=1)
        go.set()
        assert list(pieces) == ["债务"]
        wait_until(lambda: engine.load().running == 0, "the call is over")
    assert (generation.finish_reason, generation.usage, generation.model) == ("stop", Usage(7, 2), "scripted")


def test_only_openai_s_own_fields_are_sent() -> None:
    upstream = ScriptedEngine("一")
    with engine_over(upstream) as engine:
        list(engine.begin(ask(temperature=0.5, top_p=0.9, top_k=5, repetition_penalty=1.1, seed=3, max_tokens=9)))
        list(engine.begin(ask(stop=("。",))))
    expected = [Sampling(temperature=0.5, top_p=0.9, seed=3, max_tokens=9), Sampling(stop=("。",))]
    assert [request.sampling for request in upstream.requests] == expected


def test_the_model_is_the_first_of_the_list_or_the_one_that_is_set() -> None:
    with engine_over(ScriptedEngine()) as engine:
        assert engine.card().name == "scripted"
    with engine_over(ScriptedEngine(), model="qwen") as engine:
        assert engine.card().name == "qwen"


@pytest.mark.parametrize(
    ("refusal", "raised"),
    [
        (Overloaded("忙", "busy", retry_after=7), Overloaded),
        (InvalidRequest("错", "wrong"), InvalidRequest),
        (ContextTooLong("长", "long"), ContextTooLong),
        (DeadlineExceeded("迟", "late"), DeadlineExceeded),
        (DependencyDown("断", "down", retry_after=9), DependencyDown),
        (GenerationFailed("坏", "broken"), GenerationFailed),
    ],
)
def test_what_the_server_refuses_is_passed_back(refusal: YijuError, raised: type[YijuError]) -> None:
    upstream = ScriptedEngine()
    with engine_over(upstream) as engine:
        upstream.begin = lambda request: (_ for _ in ()).throw(refusal)  # type: ignore[method-assign]
        with pytest.raises(raised) as caught:
            list(engine.begin(ask()))
    assert type(caught.value) is raised
    assert refusal.words.zh in caught.value.words.zh
    if refusal.retry_after:
        assert caught.value.retry_after == refusal.retry_after


def test_an_answer_that_breaks_off_is_a_failed_generation() -> None:
    with engine_over(ScriptedEngine("一", GenerationFailed("坏", "broken"))) as engine:
        pieces = iter(engine.begin(ask()))
        assert next(pieces) == "一"
        with pytest.raises(GenerationFailed, match="broke off"):
            next(pieces)


def test_a_server_that_is_not_there_is_named() -> None:
    url = f"http://127.0.0.1:{free_port()}"
    with engine_at(url, model="m") as engine:
        for _ in range(8):  # the circuit opens on the way, and still says so
            with pytest.raises(DependencyDown, match=url) as caught:
                list(engine.begin(ask()))
            assert caught.value.retry_after
        with pytest.raises(DependencyDown, match=url):
            engine.card()


@pytest.mark.parametrize("steps", [(threading.Event(),), ("一", threading.Event())])
def test_the_deadline_ends_the_answer_here_and_there(steps: tuple[Any, ...]) -> None:
    upstream = ScriptedEngine(*steps)
    with engine_over(upstream) as engine:
        with pytest.raises(DeadlineExceeded):
            list(engine.begin(ask(Deadline.after(0.3))))
        assert upstream.requests[0].deadline.at <= Deadline.after(0.3).at
        wait_until(lambda: engine.load().running == 0, "the call is over")


@pytest.mark.parametrize("steps", [(threading.Event(),), ("一", threading.Event())])
def test_a_client_that_is_gone_ends_the_call(steps: tuple[Any, ...]) -> None:
    gone = threading.Event()
    with engine_over(ScriptedEngine(*steps)) as engine:
        generation = engine.begin(Request("hi", Sampling(), Deadline.after(20), gone.is_set))
        wait_until(lambda: engine.load().running == 1, "the call is made")
        gone.set()
        with pytest.raises(ClientGone):
            list(generation)
        wait_until(lambda: engine.load().running == 0, "the call is over")
        for step in steps:
            if isinstance(step, threading.Event):
                step.set()


def test_closing_the_engine_ends_its_calls() -> None:
    never = threading.Event()
    with served(create_app(load_settings(), ScriptedEngine("一", never))) as url:
        engine = OpenAIEngine(load_settings(openai_url=url))
        next(iter(engine.begin(ask())))
        engine.close()
        assert engine.load().running == 0
        engine.close()
        never.set()


def odd_server(body: str, status: int = 200, content_type: str = "text/event-stream") -> Flask:
    app = Flask("odd")

    @app.post("/v1/chat/completions")
    def chat() -> Response:
        return Response(body, status, content_type=content_type)

    return app


CHUNK = 'data: {"choices": [{"delta": {"content": "一"}, "finish_reason": null}], "model": "m"}\n\n'


@pytest.mark.parametrize(
    ("body", "status", "raised"),
    [
        ("", 200, GenerationFailed),
        ("data: nonsense\n\n", 200, GenerationFailed),
        ("data: {}\n\n", 200, GenerationFailed),
        ('data: {"choices": null}\n\n', 200, GenerationFailed),
        ('data: {"error": {"message": "no"}}\n\n', 200, GenerationFailed),
        (CHUNK, 200, GenerationFailed),
        (CHUNK + "data: [DONE]\n\n", 200, GenerationFailed),
        ("<html>", 502, DependencyDown),
        ("<html>", 401, DependencyDown),
        ("<html>", 404, InvalidRequest),
    ],
)
def test_a_server_that_talks_nonsense_is_an_error_and_no_hang(body: str, status: int, raised: type[YijuError]) -> None:
    with served(odd_server(body, status)) as url, engine_at(url, model="m") as engine, pytest.raises(raised):
        list(engine.begin(ask()))


def test_a_server_that_lists_no_models_needs_a_setting() -> None:
    with served(odd_server("")) as url:
        with engine_at(url) as engine, pytest.raises(DependencyDown, match="YIJU_MODEL"):
            engine.card()
        with engine_at(url, model="m") as engine:
            assert engine.card().name == "m"


def test_the_url_may_end_in_v1() -> None:
    with served(create_app(load_settings(), ScriptedEngine("一"))) as url, engine_at(f"{url}/v1") as engine:
        assert list(engine.begin(ask())) == ["一"]


def test_the_key_is_sent() -> None:
    app = create_app(load_settings(api_keys="key-2"), ScriptedEngine("一"))
    with served(app) as url:
        with engine_at(url, openai_key="key-2") as engine:
            assert list(engine.begin(ask())) == ["一"]
        with engine_at(url, openai_key="key-1") as engine, pytest.raises(DependencyDown, match="key"):
            list(engine.begin(ask()))


def test_tokens_can_not_be_counted_by_another_server() -> None:
    with engine_over(ScriptedEngine()) as engine, pytest.raises(NotFound):
        engine.count("text")


def test_the_engine_follows_from_the_settings() -> None:
    engine = choose_engine(load_settings(openai_url="http://127.0.0.1:1/v1"))
    assert isinstance(engine, OpenAIEngine)
    engine.close()
    with pytest.raises(SettingsError, match="YIJU_OPENAI_URL"):
        choose_engine(load_settings(engine="openai"))
