"""Faults of the model end one request, faults of the engine's own code restart it once."""

import threading
from typing import Any

import pytest

from llm_server.app import create_app
from llm_server.batch.engine import BatchEngine
from service_kit.errors import (
    GenerationFailed,
    ModelUnavailable,
)
from service_kit.settings import load_settings
from tests.batch_fixtures import (
    PROMPTS,
    Ask,
    batch_engine,
    begin_all,
    expected,
    gated,
    hooked,
    idle_after,
    is_idle,
    is_ready,
    reference,
    some_prompts,
    text_of,
    tiny,
    waits_at,
)
from tests.servers import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_compute_thread")]

torch = pytest.importorskip("torch")


# Faults of the model.


def last_token(prompt: str) -> int:
    return int(tiny("llama").tokenizer(prompt, add_special_tokens=True, verbose=False)["input_ids"][-1])


@pytest.mark.parametrize("sampling", [{}, {"temperature": 1.0, "seed": 1}])
def test_nan_ends_only_the_row_that_has_it(sampling: Any) -> None:
    loaded = tiny("llama")

    def spoil(kwargs: Any, output: Any) -> None:
        lengths = kwargs["past_key_values"].extent.lengths
        for row, length in enumerate(lengths):
            if length == 25:  # only the second of the four prompts passes this length
                output.logits[row] = float("nan")

    prompts = [*some_prompts(12, 30, 20, 40, 50)]
    with batch_engine(loaded) as engine, hooked(loaded, after=spoil):
        begun = [engine.begin(Ask(prompt, 20, sampling).request()) for prompt in prompts]
        with pytest.raises(GenerationFailed, match="NaN"):
            text_of(begun[1])
        texts = [text_of(begun[number]) for number in (0, 2, 3)]
        idle_after(engine)
    if not sampling:
        assert texts == [reference(loaded, prompts[number], 20) for number in (0, 2, 3)]
    assert all(len(text) == 20 for text in texts)


def test_a_pass_that_fails_for_all_ends_only_whose_fault_it_was() -> None:
    loaded = tiny("llama")
    prompts = some_prompts(13, 60, 20, 70, 80)

    def explode(kwargs: Any) -> None:
        lengths = kwargs["past_key_values"].extent.lengths
        if 25 in lengths:
            raise RuntimeError("CUDA error: device-side assert\n  File secret.py")

    with batch_engine(loaded) as engine, hooked(loaded, before=explode):
        begun = [engine.begin(Ask(prompt, 20).request()) for prompt in prompts]
        with pytest.raises(GenerationFailed) as caught:
            text_of(begun[1])
        assert str(caught.value) == "RuntimeError: CUDA error: device-side assert"
        texts = [text_of(begun[number]) for number in (0, 2, 3)]
        idle_after(engine)
    assert texts == [reference(loaded, prompts[number], 20) for number in (0, 2, 3)]


def test_when_only_sharing_a_pass_fails_each_goes_on_alone() -> None:
    loaded = tiny("llama")

    def explode(kwargs: Any) -> None:
        if len(kwargs["input_ids"]) > 2:
            raise RuntimeError("out of memory")

    with batch_engine(loaded) as engine, hooked(loaded, before=explode):
        assert [text_of(one) for one in begin_all(engine)] == [expected(prompt, 30) for prompt in PROMPTS]
        idle_after(engine)


def test_a_prompt_that_breaks_the_model_leaves_the_running_alone() -> None:
    loaded = tiny("llama")

    def explode(kwargs: Any) -> None:
        if kwargs["input_ids"].shape[1] == 33:
            raise RuntimeError("boom")

    with batch_engine(loaded) as engine, hooked(loaded, before=explode):
        running = engine.begin(Ask(PROMPTS[0], 60).request())
        with pytest.raises(GenerationFailed, match="boom"):
            text_of(engine.begin(Ask(some_prompts(1, 33)[0], 5).request()))
        assert text_of(running) == expected(PROMPTS[0], 60)


def test_a_prompt_that_breaks_the_pass_it_shares_ends_alone() -> None:
    loaded = tiny("llama")
    prompts = some_prompts(14, 60, 50, 70, 40)
    bad, shapes = last_token(prompts[2]), []

    def explode(kwargs: Any) -> None:
        shapes.append(tuple(kwargs["input_ids"].shape))
        if shapes[-1][1] > 1 and bad in kwargs["input_ids"][:, -1].tolist():
            raise RuntimeError("boom")

    with batch_engine(loaded) as engine, gated(loaded) as gate, hooked(loaded, before=explode):
        running = engine.begin(Ask(PROMPTS[0], 20).request())
        waits_at(gate, 0)
        begun = [engine.begin(Ask(prompt, 20).request()) for prompt in prompts]
        gate.open(1000)
        with pytest.raises(GenerationFailed, match="boom"):
            text_of(begun[2])
        assert text_of(running) == expected(PROMPTS[0], 20)
        for number in (0, 1, 3):
            assert text_of(begun[number]) == expected(prompts[number], 20)
        idle_after(engine)
    assert (4, 70) in shapes


def test_nan_in_one_of_the_prompts_read_together_ends_it_alone() -> None:
    loaded = tiny("llama")
    prompts = some_prompts(14, 60, 50, 70, 40)
    bad = last_token(prompts[1])

    def spoil(kwargs: Any, output: Any) -> None:
        if kwargs["input_ids"].shape == (4, 70):
            output.logits[kwargs["input_ids"][:, -1] == bad] = float("nan")

    with batch_engine(loaded) as engine, gated(loaded) as gate, hooked(loaded, after=spoil):
        running = engine.begin(Ask(PROMPTS[0], 20).request())
        waits_at(gate, 0)
        begun = [engine.begin(Ask(prompt, 20).request()) for prompt in prompts]
        gate.open(1000)
        with pytest.raises(GenerationFailed, match="NaN"):
            text_of(begun[1])
        assert text_of(running) == expected(PROMPTS[0], 20)
        for number in (0, 2, 3):
            assert text_of(begun[number]) == expected(prompts[number], 20)
        idle_after(engine)


def test_a_row_for_which_there_is_no_memory_ends_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from llm_server.batch.kv_cache import KvBlock

    join = KvBlock.join

    def exhausted(block: KvBlock, sources: Any, most: int, expected: int = 0) -> None:
        if any(states[0].keys.shape[2] == len(PROMPTS[1]) for states in sources):
            raise MemoryError("no memory")
        join(block, sources, most, expected)

    monkeypatch.setattr(KvBlock, "join", exhausted)
    with batch_engine(tiny("llama")) as engine:
        begun = begin_all(engine)
        with pytest.raises(GenerationFailed, match="no memory"):
            text_of(begun[1])
        for number in (0, 2, 3):
            assert text_of(begun[number]) == expected(PROMPTS[number], 30)
        idle_after(engine)


def test_rows_join_one_by_one_where_there_is_no_memory_for_the_expected(monkeypatch: pytest.MonkeyPatch) -> None:
    from llm_server.batch.kv_cache import KvBlock

    join, refused = KvBlock.join, []

    def tight(block: KvBlock, sources: Any, most: int, expected: int = 0) -> None:
        if expected:
            refused.append(expected)
            raise MemoryError("no memory")
        join(block, sources, most)

    monkeypatch.setattr(KvBlock, "join", tight)
    prompts = some_prompts(3, 60, 61, 62, 63)
    loaded = tiny("llama")
    with batch_engine(loaded, prefill_chunk=64) as engine, gated(loaded) as gate:
        begun = [engine.begin(Ask(prompts[0], 20).request())]
        waits_at(gate, 0)
        begun += [engine.begin(Ask(prompt, 20).request()) for prompt in prompts[1:]]
        gate.open(1000)
        for number, prompt in enumerate(prompts):
            assert text_of(begun[number]) == expected(prompt, 20)
        idle_after(engine)
    assert refused


def test_a_row_that_can_not_be_sampled_ends_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    from llm_server.batch.sampler import choose

    def explode(logits: Any, sequences: Any) -> Any:
        if any(len(one.prompt_ids) == len(PROMPTS[1]) and len(one.ids) == 25 for one in sequences):
            raise RuntimeError("no token")
        return choose(logits, sequences)

    monkeypatch.setattr("llm_server.batch.stepper.choose", explode)
    with batch_engine(tiny("llama")) as engine:
        begun = begin_all(engine)
        with pytest.raises(GenerationFailed, match="no token"):
            text_of(begun[1])
        for number in (0, 2, 3):
            assert text_of(begun[number]) == expected(PROMPTS[number], 30)
        idle_after(engine)


# Faults of the engine.


def test_a_model_whose_loading_breaks_is_not_loaded_for_ever() -> None:
    def explode(_: Any) -> Any:
        raise RuntimeError("no such device")

    engine = BatchEngine(load_settings(model="big"), explode)
    engine._thread.join(30)
    with pytest.raises(ModelUnavailable, match="no such device"):
        engine.card()
    engine.close()


def test_an_engine_thread_that_dies_is_restarted_once(caplog: pytest.LogCaptureFixture) -> None:
    loaded = tiny("llama")
    with batch_engine(loaded) as engine:
        client = create_app(load_settings(lang="en"), engine).test_client()
        assert client.get("/readyz").status_code == 200
        first = engine._thread
        kill(engine)
        wait_until(lambda: is_ready(engine), "a second thread has taken over")
        assert engine._thread is not first
        assert "a defect" in caplog.text
        assert text_of(engine.begin(Ask(PROMPTS[0], 10).request())) == expected(PROMPTS[0], 10)
        assert client.get("/readyz").status_code == 200
        kill(engine)
        wait_until(lambda: not engine._thread.is_alive(), "the second thread is gone")
        ready = client.get("/readyz")
        assert (ready.status_code, "stays down" in ready.text) == (503, True)
        response = client.post("/", json={"messages": [{"role": "user", "content": "一"}]})
        assert response.status_code == 503
        assert is_idle(engine)


def kill(engine: BatchEngine) -> None:
    """Raise in the engine's own code while one request runs and one waits."""
    parts = engine._parts
    assert parts
    step = parts.stepper.step
    waiting = threading.Event()

    def die() -> int:
        assert waiting.wait(30)
        step()
        raise RuntimeError("a defect")

    parts.stepper.step = die  # type: ignore[method-assign]
    begun = [engine.begin(Ask(prompt, 50).request()) for prompt in PROMPTS]
    waiting.set()
    for generation in begun:
        with pytest.raises(ModelUnavailable, match="a defect"):
            text_of(generation)
