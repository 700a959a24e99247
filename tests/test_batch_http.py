"""The batching engine behind its routes, asked by the real openai client."""

from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest
import requests
from openai import OpenAI

from llm_server.app import create_app
from llm_server.batch.engine import BatchEngine
from service_kit.settings import load_settings
from tests.batch_fixtures import batch_engine, is_idle, reference, some_prompts, tiny
from tests.llm_fixtures import open_post
from tests.servers import served, wait_until

pytestmark = pytest.mark.slow

pytest.importorskip("torch")

PROMPTS = some_prompts(31, 20, 60, 35, 5, 90, 12)


@pytest.fixture(scope="module")
def engine() -> Iterator[BatchEngine]:
    with batch_engine(tiny("qwen2"), prefill_chunk=32) as engine:
        yield engine


@pytest.fixture(scope="module")
def url(engine: BatchEngine) -> Iterator[str]:
    with served(create_app(load_settings(), engine)) as url:
        yield url


@pytest.fixture(scope="module")
def client(url: str) -> Iterator[OpenAI]:
    with OpenAI(base_url=f"{url}/v1", api_key="any", max_retries=0, timeout=60) as client:
        yield client


def metric(url: str, name: str) -> float:
    lines = requests.get(f"{url}/metrics", timeout=10).text.splitlines()
    return float(next(line.split()[-1] for line in lines if line.startswith(f"{name} ")))


def test_many_clients_stream_chats_at_once(client: OpenAI) -> None:
    def ask(prompt: str) -> str:
        messages: Any = [{"role": "user", "content": prompt}]
        chunks = client.chat.completions.create(
            model="any", messages=messages, max_tokens=20, stream=True, stream_options={"include_usage": True}
        )
        *parts, last = list(chunks)
        assert last.usage
        assert last.usage.completion_tokens == 20
        assert parts[-1].choices[0].finish_reason == "length"
        return "".join(part.choices[0].delta.content or "" for part in parts)

    with ThreadPoolExecutor(6) as pool:
        texts = list(pool.map(ask, PROMPTS))
    assert texts == [reference(tiny("qwen2"), prompt, 20) for prompt in PROMPTS]


def test_texts_are_gone_on_with_whole_and_streamed(client: OpenAI) -> None:
    expected = reference(tiny("qwen2"), PROMPTS[0], 15)
    whole = client.completions.create(model="any", prompt=PROMPTS[0], max_tokens=15, temperature=0)
    assert (whole.object, whole.choices[0].text, whole.choices[0].finish_reason) == (
        "text_completion",
        expected,
        "length",
    )
    assert whole.usage
    assert (whole.usage.prompt_tokens, whole.usage.completion_tokens) == (20, 15)
    chunks = client.completions.create(model="any", prompt=PROMPTS[0], max_tokens=15, temperature=0, stream=True)
    assert "".join(chunk.choices[0].text for chunk in chunks) == expected


def test_a_seed_reproduces_over_http(client: OpenAI) -> None:
    texts = {
        client.completions.create(model="any", prompt=PROMPTS[1], max_tokens=15, temperature=1.0, seed=4)
        .choices[0]
        .text
        for _ in range(3)
    }
    assert len(texts) == 1


def test_scores(url: str) -> None:
    following = some_prompts(5, 1, 1, 1)
    ask = {"prompts": [PROMPTS[0], [{"role": "user", "content": PROMPTS[0]}], PROMPTS[4]], "next": following}
    body = requests.post(f"{url}/v1/score", json=ask, timeout=60).json()
    assert (body["model"], body["next"]) == ("qwen2", following)
    assert [len(scores) for scores in body["scores"]] == [3, 3, 3]
    assert body["scores"][0] == pytest.approx(body["scores"][1], abs=1e-4)
    assert all(score < 0 for scores in body["scores"] for score in scores)


@pytest.mark.parametrize(
    ("path", "body"),
    [
        ("/v1/score", {"prompts": [], "next": ["一"]}),
        ("/v1/score", {"prompts": ["一"], "next": []}),
        ("/v1/score", {"prompts": ["一"], "next": ["一二"]}),
        ("/v1/score", {"prompts": [""], "next": ["一"]}),
        ("/v1/score", {"prompts": [[]], "next": ["一"]}),
        ("/v1/score", {"prompts": ["一"] * 257, "next": ["一"]}),
        ("/v1/completions", {}),
        ("/v1/completions", {"prompt": ""}),
        ("/v1/completions", {"prompt": ["一", "二"]}),
        ("/v1/completions", {"prompt": [1, 2]}),
        ("/v1/completions", {"prompt": "一", "n": 2}),
        ("/v1/completions", {"prompt": "一", "temperature": 9}),
        ("/v1/completions", {"prompt": "一" * 2000}),
    ],
)
def test_what_can_not_be_answered_is_a_400(url: str, path: str, body: Any) -> None:
    response = requests.post(f"{url}{path}", json=body, timeout=60)
    assert response.status_code == 400
    assert response.json()["error"]["message"]


def test_a_client_that_hangs_up_in_the_middle_frees_its_row(url: str, engine: BatchEngine) -> None:
    before = metric(url, "yiju_llm_cancelled_total")
    connection = open_post(f"{url}/v1/completions", {"prompt": PROMPTS[2], "max_tokens": 900, "stream": True})
    assert connection.recv(100)
    connection.close()
    wait_until(lambda: is_idle(engine), "its row is free")
    wait_until(lambda: metric(url, "yiju_llm_cancelled_total") == before + 1, "it is counted")


def test_the_metrics_tell_what_the_engine_does(url: str, client: OpenAI) -> None:
    names = ("tokens_generated_total", "inter_token_seconds_count", "prefix_hits_total", "prefix_lookups_total")
    before = {name: metric(url, f"yiju_llm_{name}") for name in names}
    for _ in range(2):
        client.completions.create(model="any", prompt=some_prompts(77, 50)[0], max_tokens=5)
    grown = [metric(url, f"yiju_llm_{name}") - before[name] for name in names]
    assert grown == [10, 8, 1, 2]
    assert metric(url, "yiju_llm_prefix_tokens_reused_total") >= 49
    assert metric(url, "yiju_llm_prefix_tokens_kept") > 0
    assert metric(url, "yiju_llm_kv_tokens_total") == 20_000
    wait_until(lambda: metric(url, "yiju_llm_kv_tokens_used") == 0, "the memory is free")
    assert metric(url, "yiju_llm_running") == metric(url, "yiju_llm_queue_depth") == 0
