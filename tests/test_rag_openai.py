"""The real openai client on rag_server: answers from the documents in OpenAI's form."""

from collections.abc import Iterator
from typing import Any

import openai
import pytest
import requests
from openai import OpenAI

from rag_server.routes.openai_chat import DocumentsChunk, DocumentsCompletion
from service_kit.errors import GenerationFailed, Overloaded
from service_kit.generation import Message
from service_kit.settings import Settings
from tests.corpus import SPECIAL
from tests.rag_fixtures import QUESTION, Rag, rag, searching
from tests.servers import free_port

TRUE = "专项债务收入应当用于公益性资本支出，不得用于经常性支出[1]。"
ASK: Any = [{"role": "user", "content": QUESTION}]


@pytest.fixture(scope="module")
def wired(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Settings]:
    with searching(Settings(data=tmp_path_factory.mktemp("openai"))) as found:
        yield found


@pytest.fixture(scope="module")
def up(wired: Settings) -> Iterator[Rag]:
    with rag(wired) as found:
        yield found


@pytest.fixture
def served(up: Rag) -> Rag:
    up.engine.steps, up.engine.refusal = (TRUE[:9], TRUE[9:]), None
    up.engine.requests.clear()
    return up


@pytest.fixture
def client(served: Rag) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{served.url}/v1", api_key="any", max_retries=0, timeout=20) as client:
        yield client


def test_a_whole_answer_with_its_evidence(client: OpenAI) -> None:
    answer = client.chat.completions.create(model="yiju", messages=ASK)
    assert (answer.object, answer.model) == ("chat.completion", "yiju")
    assert (answer.choices[0].message.content, answer.choices[0].finish_reason) == (TRUE, "stop")
    assert answer.usage
    assert (answer.usage.prompt_tokens, answer.usage.completion_tokens, answer.usage.total_tokens) == (7, 2, 9)
    yiju = DocumentsCompletion.model_validate(answer.model_dump()).yiju
    assert (yiju.verified, yiju.refused, yiju.sentences[0].cites) == (True, False, [1])
    assert yiju.evidence[0].title == SPECIAL.title


def test_a_streamed_answer(client: OpenAI) -> None:
    chunks = list(
        client.chat.completions.create(model="any", messages=ASK, stream=True, stream_options={"include_usage": True})
    )
    first, *_, last, usage = [DocumentsChunk.model_validate(chunk.model_dump()) for chunk in chunks]
    assert first.choices[0].delta.role == "assistant"
    assert first.yiju
    assert first.yiju.evidence[0].title == SPECIAL.title
    assert "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices) == TRUE
    assert last.choices[0].finish_reason == "stop"
    assert last.yiju
    assert last.model_dump()["yiju"]["verified"] is True
    assert usage.usage
    assert usage.usage.total_tokens == 9
    assert {chunk.id for chunk in chunks} == {chunks[0].id}


def test_the_conversation_is_the_messages_and_no_session_is_kept(client: OpenAI, served: Rag) -> None:
    talk: Any = [
        {"role": "system", "content": "用一句话回答。"},
        {"role": "user", "content": "什么是一般债务？"},
        {"role": "assistant", "content": "一般债务是……"},
        {"role": "user", "content": [{"type": "text", "text": "它应当通过什么偿还？"}]},
    ]
    # The model is asked to rewrite first; what it says is no question, so the topic is carried over.
    answer: Any = client.chat.completions.create(model="any", messages=talk, temperature=0.5, max_tokens=99)
    assert answer.yiju["new_query"] == "一般债务应当通过什么偿还？"
    request = served.engine.requests[-1]
    assert request.prompt[0] == Message("system", "用一句话回答。")
    assert request.prompt[1] == Message("user", "什么是一般债务？")
    assert (request.sampling.temperature, request.sampling.max_tokens) == (0.5, 99)
    alone: Any = client.chat.completions.create(model="any", messages=[talk[-1]])
    assert alone.yiju["new_query"] == "它应当通过什么偿还？"
    assert requests.get(f"{served.url}/sessions/x", timeout=10).status_code == 404


def test_a_question_without_a_basis_is_refused(client: OpenAI, served: Rag) -> None:
    ask: Any = [{"role": "user", "content": "quantum chromodynamics"}]
    answer: Any = client.chat.completions.create(model="any", messages=ask)
    assert (answer.yiju["refused"], answer.yiju["evidence"], answer.choices[0].finish_reason) == (True, [], "stop")
    assert "no basis" in answer.choices[0].message.content
    assert answer.usage.total_tokens == 0


def test_the_models(client: OpenAI) -> None:
    assert [model.id for model in client.models.list()] == ["yiju"]


@pytest.mark.parametrize(
    "messages",
    [
        [],
        [{"role": "user", "content": " "}],
        [{"role": "assistant", "content": "答"}],
        [{"role": "system", "content": "只有系统消息"}],
        [{"role": "tool", "content": "x", "tool_call_id": "1"}],
        [{"role": "user", "content": [{"type": "image_url", "image_url": {"url": "http://x"}}]}],
        [{"role": "user", "content": "长" * 20_001}],
    ],
)
@pytest.mark.parametrize("stream", [False, True])
def test_what_is_not_taken_is_a_400_that_says_what_is(client: OpenAI, messages: Any, stream: bool) -> None:
    with pytest.raises(openai.BadRequestError) as caught:
        client.chat.completions.create(model="any", messages=messages, stream=stream)
    assert caught.value.type == "invalid_request_error"
    assert "messages" in caught.value.body["allowed"]  # type: ignore[index]


@pytest.mark.parametrize("stream", [False, True])
def test_a_refusal_is_the_clients_own_exception(client: OpenAI, served: Rag, stream: bool) -> None:
    served.engine.refusal = Overloaded("满", "full", retry_after=7)
    with pytest.raises(openai.RateLimitError) as caught:
        list(client.chat.completions.create(model="any", messages=ASK, stream=stream))
    assert caught.value.response.headers["Retry-After"] == "7"


@pytest.mark.parametrize("stream", [False, True])
def test_search_down_is_named(wired: Settings, stream: bool) -> None:
    with (
        rag(wired, TRUE, search_url=f"http://127.0.0.1:{free_port()}") as served,
        OpenAI(base_url=f"{served.url}/v1", api_key="any", max_retries=0, timeout=20) as client,
        pytest.raises(openai.InternalServerError, match="es_search") as caught,
    ):
        list(client.chat.completions.create(model="any", messages=ASK, stream=stream))
    assert (caught.value.status_code, caught.value.type) == (503, "server_error")


def test_an_error_in_the_middle_is_raised_by_the_client(wired: Settings) -> None:
    with (
        rag(wired, TRUE, "第二", GenerationFailed("坏", "broken"), answer="generate") as served,
        OpenAI(base_url=f"{served.url}/v1", api_key="any", max_retries=0, timeout=20) as client,
        pytest.raises(openai.APIError, match="llm_server"),
    ):
        list(client.chat.completions.create(model="any", messages=ASK, stream=True))
