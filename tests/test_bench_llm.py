"""The bench's judgement, on made-up figures; the bench itself is run by hand."""

from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest

pytest.importorskip("torch")

from service_kit.errors import InvalidRequest
from tools.bench_llm import ALL, FOR_BARS, chosen
from tools.llm_bench import rounds
from tools.llm_bench.bars import rag_bars, reuse_bars, short_bars, stall_bars
from tools.llm_bench.clients import Figures, Server, pooled
from tools.llm_bench.plot import plot
from tools.llm_bench.references import Cost, Costs, averaged, mean_costs
from tools.llm_bench.rounds import Round, Stall, rag_rounds, short_rounds


def costs(**seconds: float) -> Costs:
    """The wall's clock goes twice as fast as the processor's: somebody else is computing, too."""
    return {name: Cost(2 * one, one) for name, one in seconds.items()}


def figures(engine: str, workload: str, clients: int, cpu_s: float, tokens: int) -> Figures:
    wall_s = 2 * cpu_s
    return Figures(
        workload,
        engine,
        clients,
        tokens_per_s=tokens / wall_s,
        mean_s=wall_s,
        p95_s=wall_s,
        ttft_s=0.1,
        wall_s=wall_s,
        cpu_s=cpu_s,
        answers=clients,
        tokens=tokens,
        prompt_tokens=76,
    )


SHORT = Round(
    costs(step_1=0.05, step_10=0.07, step_32=0.14, own_step_1=0.05, own_step_10=0.05, own_step_32=0.08),
    [
        figures("batch", "short", 1, 3.5, 64),
        figures("batch", "short", 10, 5.0, 640),
        figures("batch", "short", 32, 10.0, 2048),
        figures("serial", "short", 10, 34.0, 640),
    ],
)
RAG = Round(
    costs(prefill_900=2.0, step_10=0.1, own_step_10=0.01),
    [figures("batch", "rag", 10, 25.0, 300), figures("serial", "rag", 10, 46.0, 300)],
)


def slowed(one: Round, engine: str, times: float) -> Round:
    def slow(each: Figures) -> Figures:
        return replace(each, wall_s=each.wall_s * times, mean_s=each.mean_s * times) if each.engine == engine else each

    return replace(one, figures=[slow(each) for each in one.figures])


def test_each_bar_is_held_against_its_bound() -> None:
    found = {bar.name: bar for bar in short_bars([SHORT], has_fast_bf16=True) + rag_bars([RAG])}
    assert len(found) == 6
    assert all(bar.reached for bar in found.values()), found
    assert found["tokens/s at 10 clients over serial"].value == pytest.approx(6.8)
    assert found["tokens/s at 10 clients over serial"].bar == pytest.approx(0.85 * 10 * 0.05 / 0.07)
    assert found["mean latency at 10 over 1"].bar == pytest.approx(1.15 * 0.07 / 0.05)
    assert found["tokens/s at 32 clients over 10"].value == pytest.approx(1.6)
    assert found["tokens/s at 32 clients over 10"].bar == pytest.approx(0.85 * 3.2 * 0.5)
    rag = found["ten distinct 900-token prompts over serial"]
    assert rag.value == pytest.approx(46 / 25)
    assert rag.bar == pytest.approx(0.85 * 46 / (20 + 30 * 0.1))
    assert rag.by_cpu
    assert list(rag.by_cpu) == pytest.approx([rag.value, rag.bar])
    assert len(short_bars([SHORT], has_fast_bf16=False)) == 3


def test_the_bar_from_the_own_cache_is_told_and_does_not_count() -> None:
    found = {bar.name: bar for bar in short_bars([SHORT], has_fast_bf16=True) + rag_bars([RAG])}
    assert found["tokens/s at 10 clients over serial"].own == pytest.approx(0.85 * 10)  # more than the 6.8 measured
    assert found["mean latency at 10 over 1"].own == pytest.approx(1.15)
    assert found["tokens/s at 32 clients over 10"].own == pytest.approx(0.85 * 3.2 * 5 / 8)
    assert found["ten distinct 900-token prompts over serial"].own == pytest.approx(0.85 * 46 / 20.3)
    assert found["tokens/s at 10 clients over serial, AVX512-bf16"].own is None


def test_one_disturbed_round_of_three_does_not_count() -> None:
    calm = rag_bars([RAG])[0]
    assert rag_bars([RAG, slowed(RAG, "batch", 3), RAG])[0].value == calm.value
    disturbed = rag_bars([RAG, slowed(RAG, "batch", 3), slowed(RAG, "batch", 3)])[0]
    assert not disturbed.reached
    assert disturbed.by_cpu == calm.by_cpu


def test_a_bound_is_not_met_by_passes_that_are_slow_in_another_round() -> None:
    slow = replace(RAG, raw=costs(prefill_900=9.0, step_10=0.9, own_step_10=0.9))
    assert rag_bars([RAG, RAG, slow])[0].bar == rag_bars([RAG])[0].bar


def test_a_stall_over_its_bound_is_a_miss() -> None:
    raw = costs(chunk=0.25, step_1=0.025)  # 0.5 s and 0.05 s by the wall's clock
    assert stall_bars([Stall(raw, 0.6)] * 3)[0].reached
    assert not stall_bars([Stall(raw, 0.7), Stall(raw, 0.1), Stall(raw, 0.7)])[0].reached


def test_reuse_is_held_against_no_reuse() -> None:
    assert reuse_bars(0.3, 5.0)[0].reached
    assert not reuse_bars(2.0, 5.0)[0].reached


Asked = list[tuple[str, tuple[str, ...]]]


@pytest.fixture
def asked(monkeypatch: pytest.MonkeyPatch) -> Asked:
    """Which engine was asked what, in this order; nobody answers."""
    seen: Asked = []
    serial_numbers = count()

    def run(server: Server, workload: str, talks: list[str]) -> Figures:
        seen.append((server.engine, tuple(talks)))
        return figures(server.engine, workload, len(talks), 1.0, 32 * len(talks))

    monkeypatch.setattr(rounds, "conversation", lambda url, tokens: f"question {next(serial_numbers)}")
    monkeypatch.setattr(rounds, "single", lambda url, question, max_tokens: question)
    monkeypatch.setattr(rounds, "run_together", run)
    return seen


SERIAL, BATCH = (Server(engine, "", lambda: 0.0) for engine in ("serial", "batch"))


def test_both_engines_get_the_same_questions_and_every_second_round_runs_backwards(asked: Asked) -> None:
    class Raw:
        def rag(self) -> Costs:
            return costs(prefill_900=float(len(asked)), step_10=1.0, own_step_10=1.0)

    found = list(rag_rounds(2, SERIAL, BATCH, Raw(), lambda one: one))  # type: ignore[arg-type]
    assert [engine for engine, _ in asked] == ["batch", "serial", "serial", "batch"]
    assert asked[0][1] == asked[1][1] != asked[2][1] == asked[3][1]
    assert len(set(asked[0][1] + asked[2][1])) == 20
    assert found[1].raw["prefill_900"] == Cost(6.0, 3.0)  # between before (2) and after (4)


def test_no_engine_gets_a_question_twice(asked: Asked) -> None:
    class Raw:
        def short(self) -> Costs:
            return SHORT.raw

    (found,) = short_rounds(1, SERIAL, BATCH, Raw(), lambda one: one)  # type: ignore[arg-type]
    for engine in ("serial", "batch"):
        questions = [question for who, some in asked if who == engine for question in some]
        assert len(questions) == len(set(questions))
    assert set(asked[-1][1]) <= {question for who, some in asked if who == "batch" for question in some}
    assert len(found.figures) == len(asked) == 7


def test_several_figures_become_their_medians() -> None:
    three = [figures("batch", "short", 10, seconds, 640) for seconds in (5.0, 9.0, 6.0)]
    (one, other) = pooled([*three, figures("batch", "short", 1, 3.0, 64)])
    assert (one.clients, one.cpu_s, one.wall_s, one.tokens) == (10, 6.0, 12.0, 640)
    assert other.clients == 1


def test_costs_are_means() -> None:
    assert averaged(costs(step=1.0), costs(step=2.0)) == {"step": Cost(3.0, 1.5)}
    calls: list[str] = []
    found = mean_costs({"one": lambda: calls.append("one"), "other": lambda: calls.append("other")}, 2)
    assert calls == ["one", "other"] * 3  # in turn; the first ones warm up
    assert all(0 <= cost.wall_s < 1 for cost in found.values())


def test_what_to_measure_can_be_chosen() -> None:
    assert chosen("rag,stall", quick=False) == ["rag", "stall"]
    assert chosen(None, quick=True) == list(FOR_BARS)
    assert chosen(None, quick=False) == list(ALL)
    with pytest.raises(InvalidRequest) as wrong:
        chosen("rga", quick=False)
    assert "rga" in str(wrong.value)


def test_the_picture_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    plot([*SHORT.figures, *RAG.figures], tmp_path / "bench.png")
    assert (tmp_path / "bench.png").stat().st_size > 1000
