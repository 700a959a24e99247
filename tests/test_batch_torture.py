"""Too long, too many, too slow, gone: nothing hangs, leaks or gets mixed up."""

import random
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any

import pytest

from llm_server.engines.engine import Request
from service_kit.deadline import Deadline
from service_kit.errors import (
    ClientGone,
    ContextTooLong,
    DeadlineExceeded,
    InvalidRequest,
    ModelUnavailable,
    Overloaded,
    YijuError,
)
from service_kit.generation import Generation, Sampling
from tests.batch_fixtures import (
    PROMPTS,
    Ask,
    batch_engine,
    begin_all,
    expected,
    gated,
    idle_after,
    reference,
    some_prompts,
    text_of,
    tiny,
    waits_at,
)
from tests.servers import wait_until

pytestmark = [pytest.mark.slow, pytest.mark.usefixtures("one_compute_thread")]

torch = pytest.importorskip("torch")


# Prompts that do not fit.


def test_a_prompt_beyond_the_window_or_the_memory_is_refused_and_harms_nobody() -> None:
    with batch_engine(tiny("llama"), kv_tokens=100) as engine:
        running = engine.begin(Ask(PROMPTS[0], 40).request())
        with pytest.raises(ContextTooLong, match=r"500 tokens.*window is 100"):
            engine.begin(Ask(some_prompts(1, 500)[0], 5).request())
        with pytest.raises(InvalidRequest):
            engine.begin(Ask("", 5).request())
        assert text_of(running) == expected(PROMPTS[0], 40)
        assert engine.card().max_model_len == 100


def test_requests_that_do_not_fit_together_take_turns() -> None:
    with batch_engine(tiny("llama"), kv_tokens=100) as engine:
        assert [text_of(one) for one in begin_all(engine)] == [expected(prompt, 30) for prompt in PROMPTS]
        idle_after(engine)


# Ends before the end.


def leave(generation: Generation, gone: threading.Event) -> None:
    generation.cancel()


def hang_up(generation: Generation, gone: threading.Event) -> None:
    gone.set()


@pytest.mark.parametrize("depart", [leave, hang_up])
@pytest.mark.parametrize("passes", [0, 1, 3, 4, 7])
def test_whoever_leaves_frees_its_row_within_one_step(
    depart: Callable[[Generation, threading.Event], None], passes: int
) -> None:
    """While it waits for its first pass, in the middle of its prompt (four chunks), and while it is answered."""
    loaded = tiny("llama")
    with batch_engine(loaded, prefill_chunk=8) as engine, gated(loaded) as gate:
        gone = threading.Event()
        one = Ask(PROMPTS[2], 100)
        generation = engine.begin(Request(one.prompt, one.request().sampling, Deadline.after(60), gone.is_set))
        gate.open(passes)
        waits_at(gate, passes)
        depart(generation, gone)
        gate.open(100)
        idle_after(engine)
        assert len(gate.passes) <= passes + 1


def test_who_waits_for_a_place_gives_it_up_at_once() -> None:
    loaded = tiny("llama")
    with batch_engine(loaded, max_batch=1) as engine, gated(loaded) as gate:
        first, second = engine.begin(Ask(PROMPTS[0], 5).request()), engine.begin(Ask(PROMPTS[1], 5).request())
        waits_at(gate, 0)
        assert engine.load().waiting == 1
        second.cancel()
        assert engine.load().waiting == 0
        gate.open(100)
        assert text_of(first) == expected(PROMPTS[0], 5)


def test_the_others_go_on_when_rows_leave_in_the_middle() -> None:
    loaded = tiny("llama")
    with batch_engine(loaded) as engine, gated(loaded) as gate:
        begun = begin_all(engine)
        gate.open(8)
        waits_at(gate, 8)
        begun[0].cancel()
        begun[2].cancel()
        gate.open(1000)
        assert text_of(begun[1]) == expected(PROMPTS[1], 30)
        assert text_of(begun[3]) == expected(PROMPTS[3], 30)
        idle_after(engine)


def test_deadlines_end_what_runs_and_what_waits() -> None:
    loaded = tiny("llama")
    with batch_engine(loaded, max_batch=1) as engine, gated(loaded) as gate:
        begun = [engine.begin(Ask(prompt, 100).request(seconds=0.2)) for prompt in PROMPTS[:2]]
        for generation in begun:
            with pytest.raises(DeadlineExceeded):
                text_of(generation)
        gate.open(100)
        idle_after(engine)
        assert len(gate.passes) == 1


def test_a_slow_reader_holds_nobody_up_and_loses_nothing() -> None:
    with batch_engine(tiny("llama")) as engine:
        begun = begin_all(engine, tokens=100)
        slow, others = begun[0], begun[1:]
        assert [text_of(one) for one in others] == [expected(prompt, 100) for prompt in PROMPTS[1:]]
        idle_after(engine)
        assert text_of(slow) == expected(PROMPTS[0], 100)


def test_a_stop_string_ends_one_answer_among_many() -> None:
    whole = expected(PROMPTS[1], 30)
    with batch_engine(tiny("llama")) as engine:
        others = begin_all(engine)
        stopped = engine.begin(Ask(PROMPTS[1], 30, {"stop": (whole[7:9],)}).request())
        assert text_of(stopped) == whole[: whole.index(whole[7:9])]
        assert stopped.finish_reason == "stop"
        assert [text_of(one) for one in others] == [expected(prompt, 30) for prompt in PROMPTS]


def test_closing_ends_what_runs_and_what_waits() -> None:
    loaded = tiny("llama")
    with batch_engine(loaded, max_batch=1) as engine, gated(loaded) as gate:
        begun = begin_all(engine, tokens=900)
        waits_at(gate, 0)
        closing = threading.Thread(target=engine.close)
        closing.start()
        gate.open(2)
        closing.join(20)
        assert not closing.is_alive()
        for generation in begun:
            with pytest.raises(ModelUnavailable):
                text_of(generation)
        with pytest.raises(ModelUnavailable):
            engine.begin(Ask("一", 1).request())


# Too many.


def test_rows_that_end_together_share_the_time_that_they_took(monkeypatch: pytest.MonkeyPatch) -> None:
    from types import SimpleNamespace

    clock = iter(range(0, 1000, 8))
    monkeypatch.setattr("llm_server.batch.engine.time", SimpleNamespace(monotonic=lambda: next(clock)))
    with batch_engine(tiny("llama")) as engine:
        engine._last_end, engine._ended = next(clock), 4
        engine._note_ends()
        assert engine._pace.typical_s == 2.0


def test_ten_times_too_many_are_refused_with_a_time_and_the_rest_is_answered() -> None:
    with batch_engine(tiny("llama"), max_batch=2, queue_limit=4) as engine:
        text_of(engine.begin(Ask(PROMPTS[0], 3).request()))
        together = threading.Barrier(60)

        def one(number: int) -> str | YijuError:
            together.wait(30)
            try:
                return text_of(engine.begin(Ask(PROMPTS[number % 4], 60).request()))
            except YijuError as error:
                return error

        with ThreadPoolExecutor(60) as pool:
            found = list(pool.map(one, range(60)))
        refused = [one for one in found if isinstance(one, Overloaded)]
        answers = [(n % 4, one) for n, one in enumerate(found) if isinstance(one, str)]
        assert len(refused) + len(answers) == 60
        assert len(answers) >= 6
        assert len(refused) >= 20
        assert all(error.retry_after and 0 < error.retry_after < 60 for error in refused)
        assert all(text == expected(PROMPTS[number], 60) for number, text in answers)
        idle_after(engine)


def test_a_thousand_random_requests_leave_no_trace_and_are_never_mixed_up() -> None:
    loaded = tiny("llama")
    draw = random.Random(5)
    # Each prompt's answer is its canary: nobody else's begins the same way.
    prompts = some_prompts(21, *(draw.choice((3, 10, 25, 40, 120)) for _ in range(25)))
    answers = {prompt: reference(loaded, prompt, 24) for prompt in prompts}
    assert len({answer[:6] for answer in answers.values()}) == len(prompts)
    threads = threading.active_count()
    with batch_engine(loaded, kv_tokens=900, queue_limit=1000, prefill_chunk=32, prefix_tokens=600) as engine:

        def one(number: int) -> str:
            mine = random.Random(number)
            prompt, tokens = mine.choice(prompts), mine.randint(1, 24)
            kind = mine.choice(("whole", "whole", "whole", "cancel", "gone", "late", "hot"))
            options: dict[str, Any] = {"temperature": 1.3, "seed": number} if kind == "hot" else {}
            gone = threading.Event()
            deadline = Deadline.after(0.02) if kind == "late" else Deadline.after(120)
            sampling = Sampling(max_tokens=tokens, **options)
            text = ""
            try:
                for piece in engine.begin(Request(prompt, sampling, deadline, gone.is_set)):
                    text += piece
                    if kind == "cancel" and len(text) >= tokens // 2:
                        break
                    if kind == "gone":
                        gone.set()
            except (ClientGone, DeadlineExceeded):
                pass
            if kind != "hot":
                assert answers[prompt].startswith(text), (kind, number)
            if kind == "whole":
                assert len(text) == tokens
            return kind

        with ThreadPoolExecutor(24) as pool:
            kinds = list(pool.map(one, range(1000)))
        assert set(kinds) == {"whole", "cancel", "gone", "late", "hot"}
        idle_after(engine)
        load = engine.load()
        assert load.prefix_tokens_kept <= 600
        assert load.prefix_hits > 100
    wait_until(lambda: threading.active_count() == threads, "all threads are gone")
