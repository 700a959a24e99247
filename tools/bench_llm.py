"""The serial and the batching engine, one after the other over HTTP, on SmolLM2 with one compute thread.

`python -m tools.bench_llm --json FILE [--plot FILE.png] [--quick]`

Prints tokens/s, latency and time to the first text for 1, 3, 5, 10 and 32 clients, then each bar with its bound. The
bounds come from raw forward passes of the same run. `--quick` leaves out what no bar needs.
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
from tools.llm_bench.clients import Figures, Server, run_together
from tools.llm_bench.plot import plot
from tools.llm_bench.references import Measurer, References, pooled
from tools.llm_bench.workloads import RAG_TOKENS, SHORT_TOKENS, conversation, median_stall, third_turn_ttft

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


def run_engine(engine: str, precision: str, clients: tuple[int, ...]) -> list[Figures]:
    """All workloads that both engines run."""
    found = []
    with server(engine, precision) as served:
        url = served.url
        run_together(served, engine, "warm-up", [conversation(url, SHORT_TOKENS)], 4)
        for workload, tokens, max_tokens in (("short", SHORT_TOKENS, 64), ("rag", RAG_TOKENS, 32)):
            for number in clients:
                if workload == "rag" and number != 10 and len(clients) <= 3:
                    continue
                talks = [conversation(url, tokens) for _ in range(number)]
                found.append(shown(run_together(served, engine, workload, talks, max_tokens)))
        if len(clients) > 3:
            mixed = [conversation(url, (SHORT_TOKENS, RAG_TOKENS)[n % 2]) for n in range(12)]
            found.append(shown(run_together(served, engine, "mixed", mixed, 48, spacing_s=0.5)))
    return found


def shown(one: Figures) -> Figures:
    print(
        f"{one.engine:7} {one.workload:6} {one.clients:3} clients  {one.prompt_tokens:5.0f} -> "
        f"{one.tokens / one.clients:4.1f} tokens  {one.tokens_per_s:7.1f} tokens/s  cpu {one.cpu_s:6.1f} s  "
        f"mean {one.mean_s:7.2f} s  p95 {one.p95_s:7.2f} s  TTFT {one.ttft_s:6.2f} s",
        flush=True,
    )
    return one


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
    clients = (1, 10, 32) if args.quick else (1, 3, 5, 10, 32)
    measurer = Measurer(precision, chunk)
    raw = [measurer.measure()]
    figures = run_engine("serial", precision, tuple(n for n in clients if n < 32 or not args.quick))
    raw.append(measurer.measure())
    figures += run_engine("batch", precision, clients)
    raw.append(measurer.measure())
    with server("batch", precision) as served:
        run = Measured(figures, *third_turn_ttft(served.url), median_stall(served.url, 3))
    found = bars(pooled(raw), run, has_fast_bf16=has_fast_bf16())
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
