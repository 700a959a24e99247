"""The serial engine's queue: one at a time, nobody waits for nothing, a failure is one request's own."""

import threading
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from llm_server.app import create_app
from llm_server.engines.engine import Load, Request
from llm_server.engines.serial import SerialEngine
from service_kit.deadline import Deadline
from service_kit.errors import (
    ClientGone,
    DeadlineExceeded,
    GenerationFailed,
    ModelUnavailable,
    Overloaded,
)
from service_kit.generation import Generation, Sampling
from service_kit.settings import load_settings
from tests.servers import wait_until

pytestmark = pytest.mark.slow

pytest.importorskip("torch")

from tests.serial_fixtures import Gate, answer, ask, loaded_engine  # noqa: E402


@pytest.fixture
def gate(serial_engine: SerialEngine) -> Iterator[Gate]:
    gate = Gate(serial_engine)
    yield gate
    gate.remove()
    wait_until(lambda: serial_engine.load() == Load(0, 0), "the engine is idle")


def ends_within_one_step(engine: SerialEngine, gate: Gate, end: Callable[[], object]) -> None:
    """After three steps of the answer under way it is ended by `end`."""
    gate.open(3)
    wait_until(lambda: gate.steps == 3, "three steps")
    end()
    gate.open(100)
    wait_until(lambda: engine.load().running == 0, "the engine is free")
    assert gate.steps <= 4


def test_a_cancelled_answer_ends_within_one_step(serial_engine: SerialEngine, gate: Gate) -> None:
    generation = serial_engine.begin(ask(temperature=1.0, seed=1, max_tokens=400))
    ends_within_one_step(serial_engine, gate, generation.cancel)


def test_a_client_that_hangs_up_ends_its_answer_within_one_step(serial_engine: SerialEngine, gate: Gate) -> None:
    gone = threading.Event()
    serial_engine.begin(Request("x", Sampling(max_tokens=400), Deadline(), gone.is_set))
    ends_within_one_step(serial_engine, gate, gone.set)


def test_a_deadline_ends_an_answer_under_way(serial_engine: SerialEngine, gate: Gate) -> None:
    generation = serial_engine.begin(Request("x", Sampling(max_tokens=400), Deadline.after(0.2)))
    with pytest.raises(DeadlineExceeded):
        list(generation)
    gate.open(100)
    wait_until(lambda: serial_engine.load().running == 0, "the engine is free")
    assert gate.steps == 1


def test_requests_are_answered_in_the_order_in_which_they_came(serial_engine: SerialEngine, gate: Gate) -> None:
    ended: list[str] = []
    done = threading.Event()

    def read(name: str, generation: Generation) -> None:
        list(generation)
        ended.append(name)
        if len(ended) == 3:
            done.set()

    for name in "abc":
        generation = serial_engine.begin(ask(max_tokens=3))
        threading.Thread(target=read, args=(name, generation), daemon=True).start()
    assert serial_engine.load().waiting >= 2
    gate.open(9)
    assert done.wait(30)
    assert ended == ["a", "b", "c"]


def test_a_waiting_request_whose_reader_leaves_gives_up_its_place(serial_engine: SerialEngine, gate: Gate) -> None:
    first, second = serial_engine.begin(ask(max_tokens=2)), serial_engine.begin(ask(max_tokens=2))
    wait_until(lambda: serial_engine.load() == Load(1, 1), "one runs, one waits")
    second.cancel()
    assert serial_engine.load() == Load(0, 1)
    gate.open(2)
    list(first)
    assert gate.steps == 2


def test_a_waiting_request_keeps_its_deadline(serial_engine: SerialEngine, gate: Gate) -> None:
    first = serial_engine.begin(ask(max_tokens=2))
    waiting = serial_engine.begin(Request("x", Sampling(), Deadline.after(0.1)))
    with pytest.raises(DeadlineExceeded):
        list(waiting)
    assert serial_engine.load() == Load(0, 1)
    gate.open(2)
    list(first)


def test_a_waiting_request_does_not_outlive_its_client(serial_engine: SerialEngine, gate: Gate) -> None:
    first = serial_engine.begin(ask(max_tokens=2))
    with pytest.raises(ClientGone):
        list(serial_engine.begin(Request("x", Sampling(), Deadline(), lambda: True)))
    gate.open(2)
    list(first)


def test_beyond_the_queue_a_request_is_refused_until_there_is_room(tiny_llama: Path) -> None:
    engine = loaded_engine(tiny_llama, queue_limit=1)
    list(engine.begin(ask(max_tokens=1)))
    gate = Gate(engine)
    first, second = engine.begin(ask(max_tokens=2)), engine.begin(ask(max_tokens=2))
    with pytest.raises(Overloaded) as caught:
        engine.begin(ask())
    assert caught.value.retry_after is not None
    assert 0 < caught.value.retry_after < 10
    gate.remove()
    list(first)
    list(second)
    wait_until(lambda: engine.load() == Load(0, 0), "the engine is idle")
    list(engine.begin(ask(max_tokens=2)))
    engine.close()


def test_a_queue_of_none_takes_one_request(tiny_llama: Path) -> None:
    engine = loaded_engine(tiny_llama, queue_limit=0)
    gate = Gate(engine)
    engine.begin(ask(max_tokens=2))
    with pytest.raises(Overloaded):
        engine.begin(ask())
    gate.remove()
    engine.close()


def test_an_exception_belongs_to_one_request(serial_engine: SerialEngine, caplog: pytest.LogCaptureFixture) -> None:
    loaded = serial_engine._loaded
    assert loaded is not None

    def explode(*_: Any) -> None:
        raise RuntimeError("CUDA out of memory\n  File secret.py, line 1")

    handle = loaded.model.register_forward_pre_hook(explode)
    broken = serial_engine.begin(ask(max_tokens=5))
    with pytest.raises(GenerationFailed) as caught:
        list(broken)
    handle.remove()
    assert str(caught.value) == "RuntimeError: CUDA out of memory"
    assert "generation failed" in caplog.text
    assert serial_engine.begin(ask(max_tokens=5)).why_stop() is None
    assert answer(serial_engine, ask(max_tokens=5, temperature=0)) == answer(
        serial_engine, ask(max_tokens=5, temperature=0)
    )


def test_a_model_whose_output_is_nan_fails_instead_of_talking_nonsense(serial_engine: SerialEngine) -> None:
    loaded = serial_engine._loaded
    assert loaded is not None

    def spoil(module: Any, args: Any, output: Any) -> Any:
        return output * float("nan")

    handle = loaded.model.lm_head.register_forward_hook(spoil)
    with pytest.raises(GenerationFailed, match="NaN"):
        answer(serial_engine, ask(max_tokens=5, temperature=0))
    handle.remove()


def test_a_failed_generation_over_http_is_a_444_and_a_500(serial_engine: SerialEngine) -> None:
    loaded = serial_engine._loaded
    assert loaded is not None

    def explode(*_: Any) -> None:
        raise RuntimeError("boom")

    handle = loaded.model.register_forward_pre_hook(explode)
    client = create_app(load_settings(), serial_engine).test_client()
    chat = {"messages": [{"role": "user", "content": "hi"}]}
    tutorial, openai = client.post("/", json=chat), client.post("/v1/chat/completions", json=chat)
    handle.remove()
    assert (tutorial.status_code, tutorial.get_json()["status"]) == (200, 444)
    assert tutorial.get_json()["response"] == "大模型预测出错:RuntimeError: boom"
    assert (openai.status_code, openai.get_json()["error"]["code"]) == (500, "generation_failed")


def test_closing_ends_what_runs_and_what_waits(tiny_llama: Path) -> None:
    engine = loaded_engine(tiny_llama)
    gate = Gate(engine)
    running, waiting = engine.begin(ask()), engine.begin(ask())
    threading.Timer(0.05, gate.remove).start()
    engine.close()
    for generation in (running, waiting):
        with pytest.raises(ModelUnavailable):
            list(generation)
    with pytest.raises(ModelUnavailable):
        engine.begin(ask())
