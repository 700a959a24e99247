"""The real openai client against llm_server on a real socket."""

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import openai
import pytest
from openai import OpenAI

from llm_server.app import create_app
from service_kit.errors import ContextTooLong, GenerationFailed, ModelUnavailable, Overloaded
from service_kit.settings import load_settings
from tests.llm_fixtures import ScriptedEngine, open_post, read_all
from tests.servers import served

ASK: Any = [{"role": "user", "content": "什么是专项债务？"}]


@contextmanager
def client_of(stand_in: ScriptedEngine, **settings: Any) -> Iterator[OpenAI]:
    app = create_app(load_settings(**settings), stand_in)
    with served(app) as url, OpenAI(base_url=f"{url}/v1", api_key="key-1", max_retries=0, timeout=20) as client:
        yield client


def test_a_whole_answer() -> None:
    with client_of(ScriptedEngine("专项", "债务")) as client:
        answer = client.chat.completions.create(model="any", messages=ASK, max_completion_tokens=5)
    assert answer.choices[0].message.content == "专项债务"
    assert answer.choices[0].finish_reason == "stop"
    assert answer.usage is not None
    assert answer.usage.total_tokens == 9


def test_a_streamed_answer_with_usage() -> None:
    with client_of(ScriptedEngine("专项", "债务")) as client:
        chunks = list(
            client.chat.completions.create(
                model="any", messages=ASK, stream=True, stream_options={"include_usage": True}
            )
        )
    assert "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices) == "专项债务"
    assert chunks[-2].choices[0].finish_reason == "stop"
    assert chunks[-1].usage is not None
    assert chunks[-1].usage.completion_tokens == 2


def test_the_models() -> None:
    with client_of(ScriptedEngine()) as client:
        assert [model.id for model in client.models.list()] == ["scripted"]


@pytest.mark.parametrize("stream", [False, True])
@pytest.mark.parametrize(
    ("refusal", "raised"),
    [
        (Overloaded("忙", "busy", retry_after=7), openai.RateLimitError),
        (ContextTooLong("长", "long"), openai.BadRequestError),
        (ModelUnavailable("无", "none"), openai.InternalServerError),
    ],
)
def test_a_refusal_is_the_client_s_own_exception(
    refusal: Any, raised: type[openai.APIStatusError], stream: bool
) -> None:
    with client_of(ScriptedEngine(refusal=refusal)) as client, pytest.raises(raised) as caught:
        client.chat.completions.create(model="any", messages=ASK, stream=stream)
    assert caught.value.code == refusal.code
    assert refusal.words.zh in caught.value.message


def test_a_bad_value_is_named() -> None:
    with client_of(ScriptedEngine()) as client, pytest.raises(openai.BadRequestError, match="top_p"):
        client.chat.completions.create(model="any", messages=ASK, top_p=7)


def test_a_wrong_key_is_refused() -> None:
    with client_of(ScriptedEngine(), api_keys="key-2") as client, pytest.raises(openai.AuthenticationError):
        client.chat.completions.create(model="any", messages=ASK)


def test_a_model_that_breaks_in_the_middle_never_looks_finished() -> None:
    engine = ScriptedEngine("专项", GenerationFailed("坏", "broken"))
    with client_of(engine) as client, pytest.raises(openai.APIError):
        list(client.chat.completions.create(model="any", messages=ASK, stream=True))


def test_a_stream_that_breaks_ends_without_the_final_chunk() -> None:
    app = create_app(load_settings(), ScriptedEngine("专项", GenerationFailed("坏", "broken")))
    with served(app) as url, open_post(f"{url}/v1/chat/completions", {"messages": ASK, "stream": True}) as connection:
        data = read_all(connection)
    assert data.startswith(b"HTTP/1.1 200")
    assert "专项".encode() in data
    assert b"[DONE]" not in data
    assert not data.endswith(b"0\r\n\r\n")


def test_a_stream_that_ends_well_ends_with_the_final_chunk() -> None:
    with served(create_app(load_settings(), ScriptedEngine("专项"))) as url:
        ask = {"messages": ASK, "stream": True}
        with open_post(f"{url}/v1/chat/completions", ask) as connection:
            data = read_all(connection)
    assert b"[DONE]" in data
    assert data.endswith(b"0\r\n\r\n")
