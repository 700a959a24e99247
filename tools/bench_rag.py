"""What rag_server itself costs: search and model services that answer at once, against a bare route in the same run.

`python -m tools.bench_rag --json FILE [--seconds 6] [--turns 1000000]`

The bare route (the floor) reads and writes one session row on the same WSGI server. rag_server is measured with an
empty trail and with one that holds `--turns` turns, which are put there by SQL.
"""

import argparse
import json
import os
import socket
import sqlite3
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path

from rag_server.store.database import FILE_NAME, Database
from tools.console import run_tool
from tools.ports import free_port
from tools.rag_bench.clients import Client, Figures, measure

P50_MS = 6.0
SHARE_OF_FLOOR = 0.25
RUNS: tuple[tuple[Client, int], ...] = (("requests", 1), ("http.client", 1), ("requests", 4))
START_TIMEOUT_S = 60.0


@contextmanager
def process(*command: str, port: int, **env: str) -> Iterator[int]:
    """A Python process that listens on `port`, from the moment that it does."""
    with tempfile.TemporaryFile() as log:
        child = subprocess.Popen([sys.executable, "-m", *command], env=os.environ | env, stdout=log, stderr=log)
        try:
            limit = time.monotonic() + START_TIMEOUT_S
            while not _listens(port):
                if child.poll() is not None or time.monotonic() > limit:
                    log.seek(0)
                    raise RuntimeError(f"{command[0]} did not start: {log.read().decode()[-2000:]}")
                time.sleep(0.05)
            yield port
        finally:
            child.terminate()
            child.wait(30)


def _listens(port: int) -> bool:
    with socket.socket() as probe:
        return probe.connect_ex(("127.0.0.1", port)) == 0


@contextmanager
def rag(services: int, answer: str, data: Path) -> Iterator[int]:
    """A rag_server process whose other services are all at `services`."""
    port, url = free_port(), f"http://127.0.0.1:{services}"
    # Judged as always, but never refused: what is measured here is the whole way.
    env = {
        "YIJU_REFUSE_BELOW": "0",
        "YIJU_SEARCH_URL": url,
        "YIJU_LLM_URL": url,
        "YIJU_RAG_PORT": str(port),
        "YIJU_ANSWER": answer,
    }
    with process("rag_server", port=port, YIJU_DATA=str(data), YIJU_API_KEYS="", YIJU_SESSIONS="sqlite", **env):
        yield port


def fill(data: Path, turns: int) -> None:
    """Put so many turns into the trail, about as long as real ones."""
    Database(data).close()
    with sqlite3.connect(data / FILE_NAME) as db:
        db.execute(
            """WITH RECURSIVE n(i) AS (SELECT 1 UNION ALL SELECT i + 1 FROM n WHERE i < ?)
               INSERT INTO trail (trace_id, session_id, time, query, new_query, docs, response, retrieval, answer_mode)
               SELECT printf('%032x', i), 's' || (i % 5000), 1.7e9 + i, '专项债务收入可以用于经常性支出吗？',
               '专项债务收入可以用于经常性支出吗？', ?, ?, 'embedded', 'extract' FROM n""",
            (
                turns,
                json.dumps(["预算管理办法\n" + "专项债务收入应当用于公益性资本支出。" * 10] * 2),
                "不得用于。" * 30,
            ),
        )
    db.close()


def bars(found: list[Figures]) -> list[tuple[str, float, float, bool]]:
    """Name, value, bound and whether it is reached."""
    lines = []
    floors = {(one.client, one.clients): one for one in found if one.name == "floor"}
    for one in found:
        if one.name == "floor":
            continue
        share = one.per_s / floors[one.client, one.clients].per_s
        lines.append(
            (
                f"{one.name}, {one.clients} x {one.client}: of the floor's answers/s",
                share,
                SHARE_OF_FLOOR,
                share >= SHARE_OF_FLOOR,
            )
        )
        if one.clients == 1:
            lines.append((f"{one.name}, {one.client}: p50, ms", one.p50_ms, P50_MS, one.p50_ms <= P50_MS))
    return lines


def main() -> int:
    parser = argparse.ArgumentParser(
        prog="python -m tools.bench_rag", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="把结果写入 FILE / write the figures")
    parser.add_argument("--seconds", type=float, default=6, help="每项时长 / of each measurement (%(default)s)")
    parser.add_argument("--turns", type=int, default=1_000_000, help="already in the trail (%(default)s; 0: leave out)")
    args = parser.parse_args()
    found: list[Figures] = []

    def run(name: str, port: int) -> None:
        for client, clients in RUNS:
            measure(name, port, clients, min(1.0, args.seconds), client)  # warm-up
            one = measure(name, port, clients, args.seconds, client)
            found.append(one)
            print(
                f"{one.name:36} {one.clients} x {one.client:11} {one.per_s:8.1f}/s  "
                f"p50 {one.p50_ms:6.2f} ms  p99 {one.p99_ms:6.2f} ms",
                flush=True,
            )

    with ExitStack() as stack:
        folder = Path(stack.enter_context(tempfile.TemporaryDirectory()))
        services = stack.enter_context(process("tools.rag_bench.instant", str(port := free_port()), port=port))
        floor = free_port()
        with process("tools.rag_bench.floor", str(floor), str(folder / "floor.sqlite3"), port=floor):
            run("floor", floor)
        for answer in ("extract", "auto"):
            with rag(services, answer, folder / answer) as port:
                run(f"rag_server, {'model' if answer == 'auto' else answer}", port)
        if args.turns:
            full = folder / "full"
            fill(full, args.turns)
            with rag(services, "auto", full) as port:
                run(f"rag_server, model, {args.turns:,} turns", port)
    lines = bars(found)
    print()
    for name, value, bound, reached in lines:
        print(f"{'ok  ' if reached else 'MISS'} {name}: {value:.2f} (bar {bound})")
    if args.json:
        result = {"figures": [asdict(one) for one in found], "bars": lines}
        args.json.write_text(json.dumps(result, ensure_ascii=False, indent=2), "utf-8")
    return 0 if all(reached for *_, reached in lines) else 1


if __name__ == "__main__":
    run_tool(main)
