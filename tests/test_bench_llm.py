"""The bench's judgement, on made-up figures; the bench itself is run by hand."""

from dataclasses import replace
from pathlib import Path

import pytest

pytest.importorskip("torch")

from tools.llm_bench.bars import Measured, bars
from tools.llm_bench.clients import Figures
from tools.llm_bench.plot import plot
from tools.llm_bench.references import References, pooled

RAW = References(0.05, 0.07, 0.14, 0.08, 2.0, 0.5, 0.05, 0.1)


def figures(engine: str, workload: str, clients: int, *measured: float) -> Figures:
    tokens_per_s, mean_s, wall_s = measured
    tokens = 64 * clients
    return Figures(
        workload,
        engine,
        clients,
        tokens_per_s,
        mean_s,
        mean_s,
        0.1,
        wall_s=wall_s,
        cpu_s=wall_s,
        answers=clients,
        tokens=tokens,
        prompt_tokens=76,
    )


RUN = Measured(
    [
        figures("serial", "short", 10, 16.0, 22.0, 40.0),
        figures("serial", "rag", 10, 8.0, 20.0, 40.0),
        figures("batch", "short", 1, 18.0, 3.5, 3.5),
        figures("batch", "short", 10, 110.0, 5.0, 5.8),
        figures("batch", "short", 32, 170.0, 12.0, 12.0),
        replace(figures("batch", "rag", 10, 14.0, 20.0, 24.0), tokens=320),
    ],
    reused_ttft_s=0.3,
    fresh_ttft_s=5.0,
    stall_s=0.6,
)


def test_each_bar_is_held_against_its_bound() -> None:
    found = {bar.name: bar for bar in bars(RAW, RUN, has_fast_bf16=True)}
    assert len(found) == 8
    assert all(bar.reached for bar in found.values()), found
    assert found["tokens/s at 10 clients over serial"].bar == pytest.approx(0.85 * 10 * 0.05 / 0.07)
    assert found["ten distinct 900-token prompts over serial"].bar == pytest.approx(0.85 * 40 / (20 + 32 * 0.08))
    assert len(bars(RAW, RUN, has_fast_bf16=False)) == 6


def test_a_stall_over_its_bound_is_a_miss() -> None:
    missed = [bar.name for bar in bars(RAW, replace(RUN, stall_s=0.7), has_fast_bf16=False) if not bar.reached]
    assert missed == ["longest stall, s"]


def test_several_measurements_become_their_median() -> None:
    assert pooled([RAW, replace(RAW, step_1=0.09), replace(RAW, step_1=0.06)]).step_1 == 0.06


def test_the_picture_is_drawn(tmp_path: Path) -> None:
    pytest.importorskip("matplotlib")
    plot(RUN.figures, tmp_path / "bench.png")
    assert (tmp_path / "bench.png").stat().st_size > 1000
