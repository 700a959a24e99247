"""The serial engine with tiny random models: the right tokens, ended where they should end."""

from pathlib import Path
from typing import Any

import pytest

from llm_server.engines.engine import Request
from llm_server.engines.pace import Pace
from llm_server.engines.serial import SerialEngine
from service_kit.errors import (
    ContextTooLong,
)
from service_kit.generation import Message, Sampling
from tests.llm_fixtures import make_tiny_model

pytestmark = pytest.mark.slow

torch = pytest.importorskip("torch")

from tests.serial_fixtures import answer, ask, loaded_engine, reference  # noqa: E402


def test_greedy_is_what_generate_gives(serial_engine: SerialEngine, tiny_llama: Path) -> None:
    expected = reference(tiny_llama, "<user>专项债务\n<assistant>", max_new_tokens=60)
    generation = serial_engine.begin(ask(temperature=0, max_tokens=60))
    text = "".join(generation)
    assert text == expected.rstrip("\ufffd")
    assert (generation.finish_reason, generation.usage.completion_tokens) == ("length", 60)
    assert generation.usage.prompt_tokens == len("<user>专项债务\n<assistant>".encode())


def test_repetition_penalty_is_what_generate_gives(serial_engine: SerialEngine, tiny_llama: Path) -> None:
    expected = reference(tiny_llama, "<user>专项债务\n<assistant>", max_new_tokens=60, repetition_penalty=1.3)
    assert answer(serial_engine, ask(temperature=0, repetition_penalty=1.3, max_tokens=60)) == expected.rstrip("\ufffd")


def test_the_model_s_own_default_is_greedy(serial_engine: SerialEngine) -> None:
    assert answer(serial_engine, ask(max_tokens=20)) == answer(serial_engine, ask(temperature=0, max_tokens=20))


def test_a_plain_text_is_gone_on_with(serial_engine: SerialEngine, tiny_llama: Path) -> None:
    request = Request("专项", Sampling(temperature=0, max_tokens=20))
    assert answer(serial_engine, request) == reference(tiny_llama, "专项", max_new_tokens=20).rstrip("\ufffd")


def test_a_seed_reproduces_and_moves_nobody_else_s_random_numbers(serial_engine: SerialEngine) -> None:
    torch.manual_seed(1)
    expected_next = torch.rand(3)
    torch.manual_seed(1)
    hot: dict[str, Any] = {"temperature": 1.5, "top_p": 0.95, "top_k": 100, "max_tokens": 40}
    first, again = (answer(serial_engine, ask(seed=5, **hot)) for _ in range(2))
    other, unseeded = answer(serial_engine, ask(seed=6, **hot)), answer(serial_engine, ask(**hot))
    assert first == again
    assert len({first, other, unseeded}) == 3
    assert torch.equal(torch.rand(3), expected_next)


def test_top_k_1_is_greedy(serial_engine: SerialEngine) -> None:
    assert answer(serial_engine, ask(temperature=2, top_k=1, max_tokens=30)) == answer(
        serial_engine, ask(max_tokens=30)
    )


def test_draws_follow_the_distribution() -> None:
    from llm_server.model.generating import ChooseToken
    from llm_server.model.sampling import Choice

    choose = ChooseToken(Choice(0.5, 1.0, 0, 1.0, 3, (), 1), torch.device("cpu"))
    scores = torch.log(torch.tensor([[1.0, 2.0, 0.0]]))  # at temperature 0.5 the odds are 1 : 4
    drawn = [int(choose(torch.zeros(1, 1, dtype=torch.long), scores).argmax()) for _ in range(1000)]
    assert 0.75 < drawn.count(1) / 1000 < 0.85
    assert drawn.count(2) == 0


def test_a_stop_string_ends_the_answer(serial_engine: SerialEngine) -> None:
    whole = answer(serial_engine, ask(temperature=1.0, seed=1, max_tokens=60))
    stop = whole[10:12]
    generation = serial_engine.begin(ask(temperature=1.0, seed=1, max_tokens=60, stop=(stop,)))
    assert "".join(generation) == whole[: whole.index(stop)]
    assert generation.finish_reason == "stop"
    assert generation.usage.completion_tokens < 60


def test_the_end_token_ends_the_answer(tiny_llama: Path) -> None:
    engine = loaded_engine(tiny_llama)
    first = engine._loaded
    assert first is not None
    pushed = first.model.lm_head
    with torch.no_grad():
        pushed.weight[first.stop_ids[0]] = pushed.weight[:256].sum(0) * 0 + 10 * first.model.model.norm.weight
    generation = engine.begin(ask(temperature=1.0, seed=1, max_tokens=400))
    text = "".join(generation)
    assert generation.finish_reason == "stop"
    assert "<end>" not in text
    engine.close()


def test_older_rounds_are_left_out_and_the_rest_answers(serial_engine: SerialEngine) -> None:
    talk = tuple(Message("user", f"{i:03}" + "x" * 60) for i in range(50))
    generation = serial_engine.begin(Request(talk, Sampling(max_tokens=10)))
    assert "".join(generation) or generation.finish_reason
    assert 300 < generation.usage.prompt_tokens <= 512 - 10


def test_the_answer_ends_where_the_window_ends(serial_engine: SerialEngine) -> None:
    generation = serial_engine.begin(ask("x" * 480))
    list(generation)
    assert generation.finish_reason == "length"
    assert generation.usage.prompt_tokens + generation.usage.completion_tokens == 512


def test_a_last_message_that_does_not_fit_is_refused(serial_engine: SerialEngine) -> None:
    with pytest.raises(ContextTooLong, match=r"618 tokens.*window is 512"):
        serial_engine.begin(ask("x" * 600))


def test_tokens_are_counted_with_the_template_around(serial_engine: SerialEngine) -> None:
    assert serial_engine.count((Message("user", "ab"),)) == len("<user>ab\n<assistant>")
    assert serial_engine.count("ab") == 2


def test_the_last_piece_of_random_bytes_is_no_half_character(serial_engine: SerialEngine) -> None:
    for seed in range(10):
        pieces = list(serial_engine.begin(ask(temperature=1.5, seed=seed, max_tokens=30)))
        assert not pieces[-1].endswith("\ufffd")


def test_a_base_model_without_a_template_goes_on_with_the_text(tmp_path: Path) -> None:
    base = make_tiny_model(tmp_path, chat_template=None)
    engine = loaded_engine(base)
    messages = (Message("system", "背景"), Message("user", "问题："))
    text = answer(engine, Request(messages, Sampling(temperature=0, max_tokens=20)))
    assert text == reference(base, "背景\n问题：", max_new_tokens=20).rstrip("\ufffd")
    assert engine.card().has_chat_template is False
    engine.close()


def test_pace_follows_the_newer_answers() -> None:
    pace = Pace()
    pace.add(2.0)
    assert pace.typical_s == 2.0
    for _ in range(20):
        pace.add(4.0)
    assert 3.9 < pace.typical_s < 4.0
