"""The serial and the batching engine side by side over HTTP, on SmolLM2 with one compute thread.

`python -m tools.bench_llm --json FILE [--plot FILE.png] [--only NAMES] [--rounds N] [--quick]`

Prints tokens/s, latency and time to the first text of short (76 -> 64 tokens) and of RAG-length prompts (900 -> 32) for
1 to 32 clients, of sessions of three turns and of mixed arrivals, then each bar with its bound.

What bars are about is measured in rounds: in each one both engines answer the same questions one right after the other,
between two measurements of the raw forward passes that give the bounds; every second round runs backwards. Ratios are
taken within a round, and the median over the rounds counts. Both sides of each bar are by the wall's clock; beside
them stand both by processor time (of the server's process, and of the thread that makes the raw passes), and what the
bar would be if the raw steps went through the engine's own cache, which is quicker than transformers'.

Takes about twelve minutes on two cores, and three more for each further round; `--quick`, which leaves out what no bar
needs, two thirds of it. Both servers are up all the time, and only one of them is asked at a time. Exit code 1 when a
bar is missed.
"""

import argparse
import json
import platform
from collections.abc import Callable, Collection
from contextlib import ExitStack
from dataclasses import asdict, dataclass, field
from pathlib import Path
from typing import Any

from service_kit.errors import InvalidRequest
from service_kit.settings import load_settings
from tools.console import run_tool
from tools.llm_bench.bars import Bar, rag_bars, reuse_bars, short_bars, stall_bars
from tools.llm_bench.clients import Figures, Messages, Server, Talk, pooled, run_together
from tools.llm_bench.plot import plot
from tools.llm_bench.references import Costs, Measurer
from tools.llm_bench.rounds import rag_rounds, short_rounds, stalls
from tools.llm_bench.servers import server
from tools.llm_bench.workloads import RAG, SHORT, Workload, conversation, session, single, third_turn_ttft


@dataclass
class Bench:
    """What is measured with; and what was found, filled by one method for each name that `--only` takes."""

    serial: Server
    batch: Server
    measurer: Measurer
    rounds: int
    quick: bool
    figures: list[Figures] = field(default_factory=list)
    bars: list[Bar] = field(default_factory=list)
    details: dict[str, Any] = field(default_factory=dict)

    def short(self) -> None:
        """`serial` is not asked by 32: it is a queue, of which ten show all there is to see."""
        found = list(short_rounds(self.rounds, self.serial, self.batch, self.measurer, shown))
        self.figures += pooled(one for each in found for one in each.figures)
        self.bars += short_bars(found, has_fast_bf16=has_fast_bf16())
        self.details["short_rounds"] = [asdict(one) for one in found]
        self._more_clients(SHORT, (3, 5))

    def rag(self) -> None:
        found = list(rag_rounds(self.rounds, self.serial, self.batch, self.measurer, shown))
        self.figures += pooled(one for each in found for one in each.figures)
        self.bars += rag_bars(found)
        self.details["rag_rounds"] = [asdict(one) for one in found]
        self._more_clients(RAG, (1, 3, 5))

    def reuse(self) -> None:
        reused, fresh = third_turn_ttft(self.batch.url)
        self.bars += reuse_bars(reused, fresh)
        self.details |= {"reused_ttft_s": reused, "fresh_ttft_s": fresh}

    def stall(self) -> None:
        found = stalls(3, self.batch, self.measurer)
        self.bars += stall_bars(found)
        self.details["stalls"] = [asdict(one) for one in found]

    def turns(self) -> None:
        self._both("turns", lambda url: [session(url, 300, 3, 32) for _ in range(3)])

    def mixed(self) -> None:
        def talks(url: str) -> list[Talk]:
            return [single(url, conversation(url, (SHORT, RAG)[n % 2].prompt_tokens), 32) for n in range(12)]

        self._both("mixed", talks, spacing_s=0.5)

    def _more_clients(self, workload: Workload, numbers: Collection[int]) -> None:
        for clients in () if self.quick else numbers:
            asked = [conversation(self.batch.url, workload.prompt_tokens) for _ in range(clients)]

            def talks(url: str, asked: list[Messages] = asked) -> list[Talk]:
                return [single(url, one, workload.max_tokens) for one in asked]

            self._both(workload.name, talks)

    def _both(self, workload: str, talks: Callable[[str], list[Talk]], spacing_s: float = 0.0) -> None:
        for served in (self.serial, self.batch):
            self.figures.append(shown(run_together(served, workload, talks(served.url), spacing_s=spacing_s)))


FOR_BARS = ("short", "rag", "reuse", "stall")
ALL = (*FOR_BARS, "turns", "mixed")


def shown(one: Figures) -> Figures:
    print(
        f"{one.engine:7} {one.workload:6} {one.clients:3} clients  {one.prompt_tokens:5.0f} -> "
        f"{one.tokens / one.answers:4.1f} tokens  {one.tokens_per_s:7.1f} tokens/s  cpu {one.cpu_s:6.1f} s  "
        f"mean {one.mean_s:7.2f} s  p95 {one.p95_s:7.2f} s  TTFT {one.ttft_s:6.2f} s",
        flush=True,
    )
    return one


def print_ratios(figures: list[Figures]) -> None:
    """`batch` over `serial`, line by line."""
    serial = {(one.workload, one.clients): one for one in figures if one.engine == "serial"}
    print("\nbatch over serial")
    for one in figures:
        if one.engine == "batch" and (other := serial.get((one.workload, one.clients))):
            print(
                f"{one.workload:6} {one.clients:3} clients  tokens/s x {one.tokens_per_s / other.tokens_per_s:5.2f}  "
                f"mean latency x {one.mean_s / other.mean_s:5.2f}  TTFT x {one.ttft_s / other.ttft_s:5.2f}"
            )


def print_bars(found: list[Bar]) -> None:
    print()
    for bar in found:
        sign = "<=" if bar.upper else ">="
        how = bar.how
        if bar.by_cpu:
            how += f"; by processor time {bar.by_cpu[0]:.3f} {sign} {bar.by_cpu[1]:.3f}"
        if bar.own:
            how += f"; from steps with the engine's cache {sign} {bar.own:.3f}"
        print(f"{'ok  ' if bar.reached else 'MISS'} {bar.name}: {bar.value:.3f} {sign} {bar.bar:.3f} ({how})")


def ten_row_steps(chunk: int) -> tuple[Measurer, str, dict[str, Costs]]:
    """Whichever precision makes the quicker ten-row step here, and the steps of both, with both caches."""
    measurers = {precision: Measurer(precision, chunk) for precision in ("fp32", "bf16")}
    steps = {precision: one.ten_rows() for precision, one in measurers.items()}
    for precision, costs in steps.items():
        print(f"ten-row step, {precision}: " + ", ".join(f"{k} {v.cpu_s * 1e3:.1f} ms" for k, v in costs.items()))
    best = min(steps, key=lambda precision: steps[precision]["own_step_10"].cpu_s)
    return measurers[best], best, steps


def has_fast_bf16() -> bool:
    """AVX512-bf16 or AMX."""
    cpu = Path("/proc/cpuinfo")
    flags = cpu.read_text("utf-8") if cpu.exists() else ""
    return "avx512_bf16" in flags or "amx_bf16" in flags


def chosen(only: str | None, *, quick: bool) -> list[str]:
    """Raises InvalidRequest for a name that is none."""
    names = only.split(",") if only else list(FOR_BARS if quick else ALL)
    if odd := sorted(set(names) - set(ALL)):
        some, all_of_them = ", ".join(odd), ",".join(ALL)
        raise InvalidRequest(
            f"--only 中没有 {some} 这一项，可用：{all_of_them}", f"--only knows no {some}; allowed: {all_of_them}"
        )
    return names


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tools.bench_llm", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, metavar="FILE", required=True, help="把结果写入 FILE / write the figures")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="画图 / draw a picture")
    parser.add_argument("--only", metavar="NAMES", help=f"只跑其中几项 / only some of {','.join(ALL)}")
    parser.add_argument("--rounds", type=int, default=2, help="%(default)s")
    parser.add_argument("--quick", action="store_true", help="只跑指标所需 / only what the bars need")
    args = parser.parse_args()
    names = chosen(args.only, quick=args.quick)
    if args.rounds < 1:
        raise InvalidRequest("--rounds 至少为 1", "--rounds must be at least 1")
    measurer, precision, steps = ten_row_steps(load_settings().prefill_chunk)
    with ExitStack() as stack:
        serial, batch = (stack.enter_context(server(engine, precision)) for engine in ("serial", "batch"))
        for served in (serial, batch):
            run_together(served, "warm-up", [single(served.url, conversation(served.url, SHORT.prompt_tokens), 4)])
        bench = Bench(serial, batch, measurer, args.rounds, args.quick)
        for name in names:
            getattr(bench, name)()
    print_ratios(bench.figures)
    print_bars(bench.bars)
    result = {
        "cpu": platform.processor(), "precision": precision, "compute_threads": 1, "rounds": args.rounds,
        "ten_row_step": steps, "figures": [asdict(one) for one in bench.figures],
        "bars": [asdict(bar) | {"reached": bar.reached} for bar in bench.bars], **bench.details,
    }  # fmt: skip
    args.json.write_text(json.dumps(result, ensure_ascii=False, indent=2), "utf-8")
    if args.plot:
        plot(bench.figures, args.plot)
    return 0 if all(bar.reached for bar in bench.bars) else 1


if __name__ == "__main__":
    run_tool(main)
