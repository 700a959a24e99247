"""Kills es_search while it makes vectors, and searches all the time: `python -m tools.drill_vectors [--json FILE]`.

es_search runs as a process of its own over made-up passages. With `--embedder delay` its vectors come from a server in
this tool that takes a fixed time for each request; with `--embedder e5` from the bundled model. In order: searches by
words while nothing else is done; searches while vectors are made; with `delay` the same searches while the server holds
its answers back, so that no vectors are made; as often as wanted kill -9 and a new start; then all vectors are awaited
and counted: each passage must have the vectors of all of its windows, once.

The searches are by words or both, whatever there is. `p99_ratio` compares those beside the work with the same ones
without it: held back with `delay`; with `e5`, by words. Each question's own vector is made and cached before.
"""

import argparse
import json
import os
import random
import subprocess
import sys
import tempfile
import threading
import time
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import numpy as np
import requests
from flask import Flask, request
from waitress.server import create_server

from service_kit.dense.store import VectorStore
from service_kit.dense.windows import windows
from service_kit.passages import Passage, open_reader, open_writer
from service_kit.settings import load_settings
from tools.console import run_tool
from tools.ports import free_port
from tools.processes import is_ready

DIMENSION = 64
_QUESTIONS = 20
"""Pieces of passages. What all passages have in common would find them all, equally good."""
_PIECE = 16
"""Characters of one."""
_BETWEEN_S = 0.02
"""Between two searches: about fifty a second."""


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 1 when a vector is lost or doubled, or a search failed."""
    parser = argparse.ArgumentParser(prog="python -m tools.drill_vectors", description=__doc__.splitlines()[0])
    parser.add_argument("--passages", type=int, default=60_000)
    parser.add_argument("--kills", type=int, default=10)
    parser.add_argument("--searches", type=int, default=500, help="measured idle, and as many while vectors are made")
    parser.add_argument("--embedder", choices=["delay", "e5"], default="delay")
    parser.add_argument("--delay-ms", type=float, default=5.0, help="of each request of up to 32 windows")
    parser.add_argument("--wait-s", type=float, default=3600.0, help="at most for all vectors; 0: do not wait, count")
    parser.add_argument("--data", type=Path, metavar="DIR", help="keep the index here, or take the one that is here")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as directory, _delaying(args.delay_ms / 1000) as (url, gate):
        data = args.data or Path(directory)
        passages = _passages(data, args.passages)
        env = {"YIJU_DATA": str(data), "YIJU_EMBEDDER": "e5"}
        if args.embedder == "delay":
            env |= {"YIJU_EMBEDDER": "openai", "YIJU_EMBED_URL": url, "YIJU_EMBED_MODEL": "delay"}
        questions = [passage.text[-_PIECE:] for passage in passages[:_QUESTIONS]]
        with closing(_Service(env | {"YIJU_EMBEDDER": "none"})) as words:
            idle = _searches(words, questions, args.searches)
        gate.set()
        with closing(_Service(env)) as service:
            busy = _searches(service, questions, args.searches)
            after = service.with_vectors()
            still = []
            if args.embedder == "delay":
                gate.clear()
                _until_still(service)
                still = _searches(service, questions, args.searches)
                gate.set()
            kills = [service.kill_amid_work(len(passages)) for _ in range(args.kills)]
            if args.wait_s:
                _until(lambda: service.with_vectors() == len(passages), "all vectors", args.wait_s)
        faults = _count(data, passages)
    figures = {
        "words_idle_ms": _quantiles(idle),
        "making_vectors_ms": _quantiles(busy),
        **({"held_back_ms": _quantiles(still)} if still else {}),
        "p99_ratio": _quantiles(busy)["p99"] / _quantiles(still or idle)["p99"],
        "vectors_when_measured": after,
        "vectors_at_kills": kills,
        **faults,
    }
    print(json.dumps(figures, indent=2))
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2))
    return 1 if any(faults[name] for name in ("missing", "doubled", "unknown")) else 0


def _count(data: Path, passages: Sequence[Passage]) -> dict[str, Any]:
    """Passages whose windows are not all there, windows that are there twice, windows of no passage."""
    wanted = {passage.id: len(windows(passage.title, passage.text)) for passage in passages}
    found: Counter[str] = Counter()
    places: Counter[tuple[str, int]] = Counter()
    with closing(VectorStore(data)) as store:
        last = 0
        while rows := store.after(last, 10_000).windows:
            last = rows[-1].key
            found.update(one.passage for one in rows)
            places.update((one.passage, one.n) for one in rows)
    return {
        "passages": len(wanted),
        "windows": sum(found.values()),
        "missing": sum(found[one] < count for one, count in wanted.items()),
        "doubled": sum(count > 1 for count in places.values()),
        "unknown": len(found.keys() - wanted.keys()),
    }


def _passages(data: Path, count: int) -> list[Passage]:
    """Those that are indexed in this folder; made up and indexed when none are."""
    settings = load_settings(data=data, embedder="none")
    if not (data / "index").exists():
        with closing(open_writer(settings)) as writer:
            writer.upsert(_made_up(count))
            writer.commit()
    with closing(open_reader(settings)) as reader:
        return reader.fetch(sorted(reader.ids()))


def _made_up(count: int) -> Iterator[Passage]:
    dice = random.Random(0)  # noqa: S311
    letters = [chr(code) for code in range(0x4E00, 0x4E00 + 1500)]
    for n in range(count):
        sentences = ("".join(dice.choices(letters, k=30)) + "。" for _ in range(dice.randint(1, 8)))
        yield Passage(f"第{n}号事项", f"第{n}号事项由有关机关批准。" + "".join(sentences))


class _Service:
    """es_search as a process of its own, on the same port after each kill."""

    def __init__(self, env: dict[str, str]) -> None:
        port = free_port()
        self.url = f"http://127.0.0.1:{port}"
        self._env = {**os.environ, **env, "YIJU_SEARCH_PORT": str(port), "YIJU_LOG_LEVEL": "ERROR"}
        self._process = self._start()

    def with_vectors(self) -> int:
        """How many passages have theirs."""
        shown = requests.get(f"{self.url}/readyz", timeout=10).json()["dependencies"]["vectors"]
        return int(shown.get("with_vectors", 0))

    def kill_amid_work(self, passages: int) -> int:
        """Returns how many of the passages had their vectors."""
        _until(lambda: self.with_vectors() > 0, "it has counted what is there", 120)
        before = self.with_vectors()
        if before < passages:  # else there is nothing left to be in the middle of
            _until(lambda: self.with_vectors() > before, "more vectors", 120)
        self.close()
        self._process = self._start()
        return before

    def close(self) -> None:
        """kill -9."""
        self._process.kill()
        self._process.wait()

    def _start(self) -> "subprocess.Popen[bytes]":
        command = [sys.executable, "-m", "es_search"]
        process = subprocess.Popen(command, env=self._env, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        _until(lambda: is_ready(self.url), "es_search is ready", 60)
        return process


def _searches(service: _Service, questions: Sequence[str], count: int) -> list[float]:
    """Milliseconds of each, after each question was asked once. Raises HTTPError when one fails."""
    for question in questions:
        _search(service, question)
    return [_search(service, questions[n % len(questions)]) for n in range(count)]


def _search(service: _Service, question: str) -> float:
    time.sleep(_BETWEEN_S)
    began = time.perf_counter()
    requests.post(service.url, json={"question": question}, timeout=30).raise_for_status()
    return (time.perf_counter() - began) * 1000


def _until_still(service: _Service) -> None:
    """Until no more vectors come: what was asked before has been answered."""
    seen = -1
    while seen != (seen := service.with_vectors()):
        time.sleep(0.5)


def _until(holds: Callable[[], bool], what: str, seconds: float) -> None:
    """Raises TimeoutError when it does not come."""
    limit = time.monotonic() + seconds
    while not holds():
        if time.monotonic() > limit:
            raise TimeoutError(f"not within {seconds:g} s: {what}")
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
