"""The serial and the batching engine, one after the other over HTTP, on SmolLM2 with one compute thread.

`python -m tools.bench_llm --json FILE [--plot FILE.png] [--quick]`

Prints tokens/s, latency and time to the first text of short and of RAG-length prompts for 1 to 32 clients, of sessions
of three turns and of mixed arrivals, then each bar with its bound. The bounds come from raw forward passes of the same
run. Takes about eight minutes on two cores; `--quick`, which leaves out what no bar needs, half of it.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict
from pathlib import Path

import psutil
import requests

from service_kit.settings import load_settings
from tools.console import run_tool
from tools.llm_bench.bars import Bar, Measured, bars
from tools.llm_bench.clients import Figures, Server, Talk, run_together
from tools.llm_bench.plot import plot
from tools.llm_bench.references import Measurer, References, pooled
from tools.llm_bench.workloads import RAG_TOKENS, SHORT_TOKENS, median_stall, session, single, third_turn_ttft

PORT = 17907
START_TIMEOUT_S = 300


@contextmanager
def server(engine: str, precision: str) -> Iterator[Server]:
    """An llm_server process that runs SmolLM2."""
    env = os.environ | {
        "YIJU_ENGINE": engine, "YIJU_MODEL": "smollm2", "YIJU_PRECISION": precision, "YIJU_LLM_PORT": str(PORT),
        "YIJU_COMPUTE_THREADS": "1", "OMP_NUM_THREADS": "1", "YIJU_GENERATE_TIMEOUT_S": "1800", "YIJU_DEVICE": "cpu",
        "YIJU_QUEUE_LIMIT": "100", "YIJU_API_KEYS": "",
    }  # fmt: skip
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen([sys.executable, "-m", "llm_server"], env=env, stdout=log, stderr=log)
        try:
            url = f"http://127.0.0.1:{PORT}"
            limit = time.monotonic() + START_TIMEOUT_S
            while not _is_ready(url):
                if process.poll() is not None or time.monotonic() > limit:
                    log.seek(0)
                    raise RuntimeError(f"llm_server did not start: {log.read().decode()[-2000:]}")
                time.sleep(0.2)
            watched = psutil.Process(process.pid)
            yield Server(url, lambda: sum(watched.cpu_times()[:2]))
        finally:
            process.terminate()
            process.wait(60)


def _is_ready(url: str) -> bool:
    try:
        return requests.get(f"{url}/readyz", timeout=5).ok
    except requests.RequestException:
        return False


def run_engine(engine: str, precision: str, *, quick: bool) -> list[Figures]:
    """All workloads. `serial` is not asked by 32: it is a queue, of which ten show all there is to see."""
    few = (1, 10) if quick else (1, 3, 5, 10)
    with server(engine, precision) as served:
        url = served.url
        run_together(served, engine, "warm-up", [single(url, SHORT_TOKENS, 4)])

        def measure(workload: str, talks: list[Talk], spacing_s: float = 0.0) -> Figures:
            return shown(run_together(served, engine, workload, talks, spacing_s=spacing_s))

        found = [
            measure("short", [single(url, SHORT_TOKENS, 64) for _ in range(clients)])
            for clients in (few if engine == "serial" else (*few, 32))
        ]
        found += [measure("rag", [single(url, RAG_TOKENS, 32) for _ in range(clients)]) for clients in few]
        if not quick:
            found.append(measure("turns", [session(url, 300, 3, 32) for _ in range(3)]))
            mixed = [single(url, (SHORT_TOKENS, RAG_TOKENS)[n % 2], 32) for n in range(12)]
            found.append(measure("mixed", mixed, spacing_s=0.5))
    return found


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


def faster_precision(chunk: int) -> tuple[str, dict[str, float]]:
    """Whichever makes the quicker ten-row step here, and the seconds of both."""
    seconds = {precision: Measurer(precision, chunk).ten_rows() for precision in ("fp32", "bf16")}
    return min(seconds, key=lambda one: seconds[one]), seconds


def has_fast_bf16() -> bool:
    """AVX512-bf16 or AMX."""
    cpu = Path("/proc/cpuinfo")
    flags = cpu.read_text("utf-8") if cpu.exists() else ""
    return "avx512_bf16" in flags or "amx_bf16" in flags


def report(precision: str, raw: References, found: list[Bar]) -> None:
    print(f"\n{precision}; raw passes, ms: " + ", ".join(f"{k} {v * 1e3:.1f}" for k, v in asdict(raw).items()))
    for bar in found:
        sign = "<=" if bar.upper else ">="
        by_cpu = "" if bar.by_cpu is None else f"; by processor time {bar.by_cpu:.3f}"
        print(
            f"{'ok  ' if bar.reached else 'MISS'} {bar.name}: {bar.value:.3f} {sign} {bar.bar:.3f} ({bar.how}{by_cpu})"
        )


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tools.bench_llm", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, metavar="FILE", required=True, help="把结果写入 FILE / write the figures")
    parser.add_argument("--plot", type=Path, metavar="FILE.png", help="画图 / draw a picture")
    parser.add_argument("--quick", action="store_true", help="只跑指标所需 / only what the bars need")
    args = parser.parse_args()
    chunk = load_settings().prefill_chunk
    precision, ten_rows = faster_precision(chunk)
    print(f"ten-row step: {', '.join(f'{name} {s * 1e3:.1f} ms' for name, s in ten_rows.items())}; using {precision}")
    measurer = Measurer(precision, chunk)
    raw = [measurer.measure()]
    figures = run_engine("serial", precision, quick=args.quick)
    raw.append(measurer.measure())
    figures += run_engine("batch", precision, quick=args.quick)
    raw.append(measurer.measure())
    with server("batch", precision) as served:
        run = Measured(figures, *third_turn_ttft(served.url), median_stall(served.url, 3))
    found = bars(pooled(raw), run, has_fast_bf16=has_fast_bf16())
    print_ratios(figures)
    report(precision, pooled(raw), found)
    result = {
        "cpu": platform.processor(), "precision": precision, "ten_row_step_s": ten_rows, "compute_threads": 1,
        "raw": asdict(pooled(raw)), "raw_each_time": [asdict(one) for one in raw],
        "figures": [asdict(one) for one in figures], "reused_ttft_s": run.reused_ttft_s,
        "fresh_ttft_s": run.fresh_ttft_s, "stall_s": run.stall_s,
        "bars": [asdict(bar) | {"reached": bar.reached} for bar in found],
    }  # fmt: skip
    args.json.write_text(json.dumps(result, ensure_ascii=False, indent=2), "utf-8")
    if args.plot:
        plot(figures, args.plot)
    return 0 if all(bar.reached for bar in found) else 1


if __name__ == "__main__":
    run_tool(main)
