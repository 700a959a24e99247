"""The figures that the engine has to reach, each with the bound that the raw forward passes give."""

from dataclasses import dataclass

from tools.llm_bench.clients import Figures
from tools.llm_bench.references import References


@dataclass(frozen=True)
class Bar:
    """`value` has to be at least `bar`, or at most if `upper`."""

    name: str
    value: float
    bar: float
    upper: bool
    how: str
    by_cpu: float | None = None
    """The same ratio of the servers' processor times: what it would be on a machine where nothing else runs."""

    @property
    def reached(self) -> bool:
        return self.value <= self.bar if self.upper else self.value >= self.bar


@dataclass(frozen=True)
class Measured:
    """All that a run gave."""

    figures: list[Figures]
    reused_ttft_s: float
    fresh_ttft_s: float
    stall_s: float

    def of(self, engine: str, workload: str, clients: int) -> Figures:
        return next(
            one for one in self.figures if (one.engine, one.workload, one.clients) == (engine, workload, clients)
        )


def bars(raw: References, run: Measured, *, has_fast_bf16: bool) -> list[Bar]:
    one, ten, many = (run.of("batch", "short", clients) for clients in (1, 10, 32))
    serial, serial_rag = run.of("serial", "short", 10), run.of("serial", "rag", 10)
    rag = run.of("batch", "rag", 10)
    speedup, bound = ten.tokens_per_s / serial.tokens_per_s, 10 * raw.step_1 / raw.step_10
    slower, steps = ten.mean_s / one.mean_s, raw.step_10 / raw.step_1
    cheaper, dearer = (ten.tokens / ten.cpu_s) / (serial.tokens / serial.cpu_s), ten.cpu_s / one.cpu_s
    batched_s = 10 * raw.prefill_900 + rag.tokens / 10 * raw.long_step_10
    rag_bound = serial_rag.wall_s / batched_s
    widening = 3.2 * raw.step_10 / raw.step_32
    found = [
        Bar("tokens/s at 10 clients over serial", speedup, 0.85 * bound, False, f"0.85 x bound {bound:.2f}", cheaper),
        Bar("mean latency at 10 over 1", slower, 1.15 * steps, True, f"1.15 x step ratio {steps:.2f}", dearer),
        Bar(
            "ten distinct 900-token prompts over serial",
            serial_rag.wall_s / rag.wall_s,
            0.85 * rag_bound,
            False,
            f"0.85 x bound {rag_bound:.2f}; by processor time bound {serial_rag.cpu_s / batched_s:.2f}",
            serial_rag.cpu_s / rag.cpu_s,
        ),
        Bar("third turn's TTFT over no reuse", run.reused_ttft_s / run.fresh_ttft_s, 0.35, True, "2,000-token history"),
        Bar(
            "tokens/s at 32 clients over 10",
            many.tokens_per_s / ten.tokens_per_s,
            0.85 * widening,
            False,
            f"0.85 x bound {widening:.2f}",
            (many.tokens / many.cpu_s) / (ten.tokens / ten.cpu_s),
        ),
        Bar(
            "longest stall, s",
            run.stall_s,
            raw.chunk + 3 * raw.step_1,
            True,
            f"chunk {raw.chunk:.3f} + 3 x step {raw.step_1:.3f}",
        ),
    ]
    if has_fast_bf16:
        found.append(Bar("tokens/s at 10 clients over serial, AVX512-bf16", speedup, 6.0, False, "absolute", cheaper))
        found.append(Bar("mean latency at 10 over 1, AVX512-bf16", slower, 1.8, True, "absolute", dearer))
    return found
