"""The figures that the engine has to reach, each with the bound that the raw forward passes give."""

import statistics
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from tools.llm_bench.clients import Figures
from tools.llm_bench.references import OWN, Cost
from tools.llm_bench.rounds import Round, Stall

SHARE = 0.85
"""Of the bound, that has to be reached."""


@dataclass(frozen=True)
class Bar:
    """`value` has to be at least `bar`, or at most if `upper`: both by the wall's clock, or both by processor time."""

    name: str
    value: float
    bar: float
    upper: bool
    how: str
    by_cpu: tuple[float, float] | None = None
    """`value` and `bar` by processor time: as on a machine where nothing else runs."""
    own: float | None = None
    """The bar that the same passes with the engine's own cache would give; it is not one that has to be reached."""

    @property
    def reached(self) -> bool:
        return self.value <= self.bar if self.upper else self.value >= self.bar


Clock = Callable[[Cost | Figures], float]
Ratio = Callable[[Round, Clock], float]
Bound = Callable[[Round, Clock, str], float]
"""Of a round, by a clock, from the raw passes whose names begin so: `""` or OWN."""


def wall(one: Cost | Figures) -> float:
    return one.wall_s


def cpu(one: Cost | Figures) -> float:
    return one.cpu_s


def short_bars(rounds: Sequence[Round], *, has_fast_bf16: bool) -> list[Bar]:
    """Of 10 clients over `serial` and over 1, of 32 over 10."""

    def faster(one: Round, clock: Clock) -> float:
        return _speed(one.of("batch", 10), clock) / _speed(one.of("serial", 10), clock)

    def slower(one: Round, clock: Clock) -> float:
        return _latency(one.of("batch", 10), clock) / _latency(one.of("batch", 1), clock)

    def wider(one: Round, clock: Clock) -> float:
        return _speed(one.of("batch", 32), clock) / _speed(one.of("batch", 10), clock)

    def steps(one: Round, clock: Clock, kind: str) -> float:
        return clock(one.raw[f"{kind}step_10"]) / clock(one.raw[f"{kind}step_1"])

    def quickening(one: Round, clock: Clock, kind: str) -> float:
        return 10 / steps(one, clock, kind)

    def widening(one: Round, clock: Clock, kind: str) -> float:
        return 3.2 * clock(one.raw[f"{kind}step_10"]) / clock(one.raw[f"{kind}step_32"])

    found = [
        _bar("tokens/s at 10 clients over serial", rounds, faster, quickening),
        _bar("mean latency at 10 over 1", rounds, slower, steps, 1.15),
        _bar("tokens/s at 32 clients over 10", rounds, wider, widening),
    ]
    if has_fast_bf16:
        found.append(_absolute("tokens/s at 10 clients over serial, AVX512-bf16", rounds, faster, 6.0))
        found.append(_absolute("mean latency at 10 over 1, AVX512-bf16", rounds, slower, 1.8, upper=True))
    return found


def rag_bars(rounds: Sequence[Round]) -> list[Bar]:
    """Of ten distinct 900-token prompts: the time of `serial` over that of `batch`, or of the passes it has to make."""

    def faster(one: Round, clock: Clock) -> float:
        return clock(one.of("serial", 10)) / clock(one.of("batch", 10))

    def bound(one: Round, clock: Clock, kind: str) -> float:
        steps = one.of("batch", 10).tokens / 10
        passes = 10 * clock(one.raw["prefill_900"]) + steps * clock(one.raw[f"{kind}step_10"])
        return clock(one.of("serial", 10)) / passes

    return [_bar("ten distinct 900-token prompts over serial", rounds, faster, bound)]


def reuse_bars(reused_ttft_s: float, fresh_ttft_s: float) -> list[Bar]:
    value = reused_ttft_s / fresh_ttft_s
    return [Bar("third turn's TTFT over no reuse", value, 0.35, upper=True, how="2,000-token history")]


def stall_bars(stalls: Sequence[Stall]) -> list[Bar]:
    """The medians of all three, by the wall's clock."""
    chunk, step = (statistics.median(one.raw[name].wall_s for one in stalls) for name in ("chunk", "step_1"))
    value = statistics.median(one.seconds for one in stalls)
    how = f"chunk {chunk:.3f} + 3 x step {step:.3f}"
    return [Bar("longest stall, s", value, chunk + 3 * step, upper=True, how=how)]


def _speed(one: Figures, clock: Clock) -> float:
    return one.tokens / clock(one)


def _latency(one: Figures, clock: Clock) -> float:
    return one.mean_s if clock is wall else clock(one)


def _median(rounds: Sequence[Round], ratio: Ratio, clock: Clock) -> float:
    return statistics.median(ratio(one, clock) for one in rounds)


def _bar(name: str, rounds: Sequence[Round], value: Ratio, bound: Bound, over: float | None = None) -> Bar:
    """At least SHARE of the bound; with `over`, at most so many times the bound."""
    share = over or SHARE

    def bar(clock: Clock, kind: str = "") -> float:
        return share * _median(rounds, lambda one, by: bound(one, by, kind), clock)

    return Bar(
        name,
        _median(rounds, value, wall),
        bar(wall),
        upper=over is not None,
        how=f"{share:g} x bound {bar(wall) / share:.2f}",
        by_cpu=(_median(rounds, value, cpu), bar(cpu)),
        own=bar(wall, OWN),
    )


def _absolute(name: str, rounds: Sequence[Round], value: Ratio, bar: float, *, upper: bool = False) -> Bar:
    by_cpu = (_median(rounds, value, cpu), bar)
    return Bar(name, _median(rounds, value, wall), bar, upper=upper, how="absolute", by_cpu=by_cpu)
