"""What rag_server itself costs: search and model services that answer at once, against a bare route in the same run.

`python -m tools.bench_rag --json FILE [--seconds 2] [--rounds 5] [--turns 1000000]`

The bare route (the floor) reads and writes one session row on the same WSGI server. rag_server is measured with an
empty trail and with one that holds `--turns` turns, which are put there by SQL. All are measured in turn, `--rounds`
times, so that what else the machine does meanwhile meets all alike; the medians count.
"""

import argparse
import json
import socket
import sqlite3
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import asdict
from pathlib import Path

from rag_server.store.database import FILE_NAME, Database
from tools.console import run_tool
from tools.ports import free_port
from tools.processes import running
from tools.rag_bench.clients import Client, Figures, measure, median

FLOOR = "floor"
P50_MS = 6.0
SHARE_OF_FLOOR = 0.25
RUNS: tuple[tuple[Client, int], ...] = (("requests", 1), ("http.client", 1), ("requests", 4))


@contextmanager
def process(*command: str, port: int, **env: str) -> Iterator[int]:
    """A Python process that listens on `port`, from the moment that it does."""
    with running(*command, env=env, is_up=lambda: _listens(port)):
        yield port


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
    floors = {(one.client, one.clients): one for one in found if one.name == FLOOR}
    for one in found:
        if one.name == FLOOR:
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


@contextmanager
def subjects(folder: Path, turns: int) -> Iterator[dict[str, int]]:
    """The ports of what is measured by name, all up at once; what is not asked costs nothing."""
    with ExitStack() as stack:
        services = stack.enter_context(process("tools.rag_bench.instant", str(port := free_port()), port=port))
        floor = free_port()
        stack.enter_context(process("tools.rag_bench.floor", str(floor), str(folder / "floor.sqlite3"), port=floor))
        ports = {FLOOR: floor}
        for answer, name in (("extract", "extract"), ("auto", "model")):
            ports[f"rag_server, {name}"] = stack.enter_context(rag(services, answer, folder / answer))
        if turns:
            fill(folder / "full", turns)
            ports[f"rag_server, model, {turns:,} turns"] = stack.enter_context(rag(services, "auto", folder / "full"))
        yield ports


def measure_all(ports: Mapping[str, int], rounds: int, seconds: float) -> list[Figures]:
    """The median of each over all rounds, printed as it is known."""
    found = []
    for client, clients in RUNS:
        each: dict[str, list[Figures]] = {name: [] for name in ports}
        for name, port in ports.items():
            measure(name, port, clients, min(1.0, seconds), client)  # warm-up
        for _ in range(rounds):
            for name, port in ports.items():
                each[name].append(measure(name, port, clients, seconds, client))
        for name, measured in each.items():
            one = median(measured)
            found.append(one)
            print(
                f"{name:36} {clients} x {client:11} {one.per_s:8.1f}/s  "
                f"p50 {one.p50_ms:6.2f} ms  p99 {one.p99_ms:6.2f} ms",
                flush=True,
            )
    return found


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.bench_rag", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="把结果写入 FILE / write the figures")
    parser.add_argument("--seconds", type=float, default=2, help="每次时长 / of each measurement (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="每项次数 / measurements of each (%(default)s)")
    parser.add_argument("--turns", type=int, default=1_000_000, help="already in the trail (%(default)s; 0: leave out)")
    args = parser.parse_args(argv)
    if args.seconds <= 0 or args.rounds < 1 or args.turns < 0:
        parser.error("--seconds > 0, --rounds >= 1, --turns >= 0")
    with tempfile.TemporaryDirectory() as folder, subjects(Path(folder), args.turns) as ports:
        found = measure_all(ports, args.rounds, args.seconds)
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
