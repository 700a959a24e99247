"""Kills es_search while it makes vectors, and searches all the time: `python -m tools.drill_vectors [--json FILE]`.

es_search runs as a process of its own over made-up passages. With `--embedder delay` its vectors come from a server in
this tool that takes a fixed time for each request; with `--embedder e5` from the bundled model. In order: searches by
words while nothing else is done; searches while vectors are made; the same searches with the vectors that are there by
then while none are made (with `delay` the server holds its answers back, with `e5` this tool has taken the right to
make vectors); as often as wanted kill -9, amid the work, and a new start; then all vectors are awaited, searches are
measured once more, and the vectors counted: each passage must have those of all of its windows, once.

On the engine that YIJU_SEARCH names; in Elasticsearch in an index of its own, which is gone afterwards.

The searches are by words or both, whatever there is. `p99_ratio` compares those beside the work with the same ones
without it. Each question's own vector is made and cached before.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Any

import numpy as np
import requests
from flask import Flask, request
from waitress.server import create_server

from service_kit.dense.embedded_vectors import local_lock
from service_kit.dense.windows import windows
from service_kit.passages import Passage, open_reader, open_writer
from service_kit.settings import Settings, load_settings
from tools.console import run_tool
from tools.ports import free_port
from tools.processes import is_ready
from tools.retrieval_set import temporary_index
from tools.stored_windows import stored_windows

DIMENSION = 64
_PLACE = ("search", "es_urls", "es_index", "es_analysis")
"""Settings that tell es_search where the index is; the others reach it by the environment as well."""
_QUESTIONS = 20
"""Pieces of passages. What all passages have in common would find them all, equally good."""
_PIECE = 16
"""Characters of one."""
_PAGE = 5000
"""Passages fetched at once: Elasticsearch gives at most 10,000."""
_BETWEEN_S = 0.02
"""Between two searches: about fifty a second."""


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 1 when a vector is lost or doubled, or a search failed."""
    parser = argparse.ArgumentParser(prog="python -m tools.drill_vectors", description=__doc__.splitlines()[0])
    parser.add_argument("--passages", type=int, default=60_000)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--between-kills", type=int, default=500, help="passages that get vectors before each kill")
    parser.add_argument("--searches", type=int, default=500, help="measured idle, and as many while vectors are made")
    parser.add_argument("--embedder", choices=["delay", "e5"], default="delay")
    parser.add_argument("--delay-ms", type=float, default=5.0, help="of each request of up to 32 windows")
    parser.add_argument("--wait-s", type=float, default=3600.0, help="for all vectors; then what there is is counted")
    parser.add_argument(
        "--data", type=Path, metavar="DIR", help="keep the embedded index here, or take the one that is here"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file")
    args = parser.parse_args(argv)
    with _index(args.data) as settings, _delaying(args.delay_ms / 1000) as (url, gate):
        passages = _passages(settings, args.passages)
        env = {"YIJU_DATA": str(settings.data), "YIJU_EMBEDDER": "e5"}
        env |= {f"YIJU_{name.upper()}": getattr(settings, name) for name in _PLACE}
        if args.embedder == "delay":
            env |= {"YIJU_EMBEDDER": "openai", "YIJU_EMBED_URL": url, "YIJU_EMBED_MODEL": "delay"}
        questions = [passage.text[-_PIECE:] for passage in passages[:_QUESTIONS]]
        figures = _drill(args, env, gate, passages, questions) | _count(settings, passages)
    print(json.dumps(figures, indent=2))
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2))
    return 1 if any(figures[name] for name in ("missing", "doubled", "unknown")) else 0


def _drill(
    args: argparse.Namespace,
    env: dict[str, str],
    gate: threading.Event,
    passages: Sequence[Passage],
    questions: Sequence[str],
) -> dict[str, Any]:
    """What is measured of es_search; it runs no more when this returns."""
    idle = _idle(env, questions, args.searches)
    gate.set()
    port = free_port()
    process = _start(env, port)
    ready = None
    try:
        busy = _searches(port, questions, args.searches)
        after = _with_vectors(port)
        if args.embedder == "delay":
            gate.clear()
            _until_still(port)
            still = _searches(port, questions, args.searches)
            gate.set()
        else:
            _kill(process)
            with local_lock(Path(env["YIJU_DATA"]), wait=True):
                process = _start(env, port)
                still = _searches(port, questions, args.searches)
                _kill(process)
            process = _start(env, port)
        kills = []
        for _ in range(args.kills):
            before = _amid(port, args.between_kills, len(passages))
            _kill(process)
            process = _start(env, port)
            kills.append(before)
        with suppress(TimeoutError):  # then some are missing, and that is told
            _until(lambda: _with_vectors(port) == len(passages), args.wait_s)
            ready = _searches(port, questions, args.searches)
    finally:
        _kill(process)
    return {
        "words_idle_ms": _quantiles(idle),
        "making_vectors_ms": _quantiles(busy),
        "held_back_ms": _quantiles(still),
        **({"all_ready_ms": _quantiles(ready)} if ready else {}),
        "p99_ratio": _quantiles(busy)["p99"] / _quantiles(still)["p99"],
        "vectors_when_measured": after,
        "vectors_at_kills": kills,
    }


def _count(settings: Settings, passages: Sequence[Passage]) -> dict[str, Any]:
    """Passages whose windows are not all there, windows that are there twice, windows of no passage."""
    wanted = {passage.id: len(windows(passage.title, passage.text)) for passage in passages}
    places = Counter(stored_windows(settings))
    found: Counter[str] = Counter()
    for (passage, _), times in places.items():
        found[passage] += times
    return {
        "passages": len(wanted),
        "windows": sum(found.values()),
        "missing": sum(found[one] < count for one, count in wanted.items()),
        "doubled": sum(count > 1 for count in places.values()),
        "unknown": len(found.keys() - wanted.keys()),
    }


@contextmanager
def _index(data: Path | None) -> Iterator[Settings]:
    """Settings of the place that the passages have, or shall have."""
    settings = load_settings(embedder="none")
    if data is not None and settings.search == "embedded":
        yield settings.model_copy(update={"data": data})
    else:
        with temporary_index(settings) as own:
            yield own


def _passages(settings: Settings, count: int) -> list[Passage]:
    """Those that are indexed there; made up and indexed when none are."""
    if not (settings.data / "index").exists():
        with closing(open_writer(settings)) as writer:
            writer.upsert(_made_up(count))
            writer.commit()
    with closing(open_reader(settings)) as reader:
        ids = sorted(reader.ids())
        return [one for at in range(0, len(ids), _PAGE) for one in reader.fetch(ids[at : at + _PAGE])]


def _made_up(count: int) -> Iterator[Passage]:
    dice = random.Random(0)  # noqa: S311
    letters = [chr(code) for code in range(0x4E00, 0x4E00 + 1500)]
    for n in range(count):
        sentences = ("".join(dice.choices(letters, k=30)) + "。" for _ in range(dice.randint(1, 8)))
        yield Passage(f"第{n}号事项", f"第{n}号事项由有关机关批准。" + "".join(sentences))


def _idle(env: dict[str, str], questions: Sequence[str], searches: int) -> list[float]:
    """Milliseconds of searches by words while nobody makes vectors."""
    port = free_port()
    process = _start(env | {"YIJU_EMBEDDER": "none"}, port)
    try:
        return _searches(port, questions, searches)
    finally:
        _kill(process)


def _start(env: dict[str, str], port: int) -> "subprocess.Popen[bytes]":
    process = subprocess.Popen(
        [sys.executable, "-m", "es_search"],
        env={**os.environ, **env, "YIJU_SEARCH_PORT": str(port), "YIJU_LOG_LEVEL": "ERROR"},
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    _until(lambda: is_ready(f"http://127.0.0.1:{port}"), 60)
    return process


def _searches(port: int, questions: Sequence[str], count: int) -> list[float]:
    """Milliseconds of each, after each question was asked once. Raises HTTPError when one fails."""
    for question in questions:
        _search(port, question)
    return [_search(port, questions[n % len(questions)]) for n in range(count)]


def _search(port: int, question: str) -> float:
    time.sleep(_BETWEEN_S)
    began = time.perf_counter()
    requests.post(f"http://127.0.0.1:{port}/", json={"question": question}, timeout=30).raise_for_status()
    return (time.perf_counter() - began) * 1000


def _with_vectors(port: int) -> int:
    shown = requests.get(f"http://127.0.0.1:{port}/readyz", timeout=10).json()["dependencies"]["vectors"]
    return int(shown.get("with_vectors", 0))


def _until_still(port: int) -> None:
    """Until no more vectors come: what was asked before has been answered."""
    seen = -1
    while seen != (seen := _with_vectors(port)):
        time.sleep(0.5)


def _amid(port: int, more: int, every: int) -> int:
    """Wait until this process has made `more` vectors itself; how many passages have them now."""
    _until(lambda: _with_vectors(port) > 0, 120)  # it has counted what is there
    goal = min(every, _with_vectors(port) + more)
    _until(lambda: _with_vectors(port) >= goal, 600)
    return _with_vectors(port)


def _kill(process: "subprocess.Popen[bytes]") -> None:
    process.kill()
    process.wait()


def _until(holds: Callable[[], bool], seconds: float) -> None:
    """Raises TimeoutError."""
    limit = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > limit:
            raise TimeoutError(f"not within {seconds:g} s")
        time.sleep(0.05)


@contextmanager
def _delaying(seconds: float) -> Iterator[tuple[str, threading.Event]]:
    """An embedding server that takes `seconds` for a request, once its gate is open; vectors by the text's hash."""
    app, gate = Flask("delay"), threading.Event()

    @app.post("/v1/embeddings")
    def embed() -> dict[str, Any]:
        gate.wait()
        time.sleep(seconds)
        texts = request.get_json()["input"]
        rows = [np.random.default_rng(abs(hash(text))).normal(size=DIMENSION).round(4).tolist() for text in texts]
        return {
            "object": "list",
            "model": "delay",
            "data": [{"object": "embedding", "index": n, "embedding": row} for n, row in enumerate(rows)],
            "usage": {"prompt_tokens": 0, "total_tokens": 0},
        }

    server = create_server(app, host="127.0.0.1", port=0, threads=4)
    threading.Thread(target=server.run, daemon=True).start()
    yield f"http://127.0.0.1:{server.effective_port}/v1", gate


def _quantiles(values: Sequence[float]) -> dict[str, float]:
    return {f"p{percent}": round(float(np.percentile(values, percent)), 2) for percent in (50, 99)}


if __name__ == "__main__":
    run_tool(main)
