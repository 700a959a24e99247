"""es_search over HTTP against a search in this process, in turns; and how many searches a second the reader gives."""

import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing, contextmanager
from dataclasses import dataclass

import numpy as np
import urllib3

from service_kit.passages import PassageReader, open_reader
from service_kit.settings import Settings
from tools.ports import free_port
from tools.processes import is_ready, running

TOP_K = 2
HTTP = "http"
WARM_UP = 1000
"""Questions before those that count, of each: a server just started compiles its code meanwhile."""


@dataclass(frozen=True)
class Latencies:
    """Milliseconds, of the same questions."""

    http: tuple[float, ...]
    beside: Mapping[str, tuple[float, ...]]
    """Of each other way to ask."""

    def added(self, percentile: float, way: str) -> float:
        """How much longer it takes over HTTP than this way."""
        return float(np.percentile(self.http, percentile) - np.percentile(self.beside[way], percentile))


@contextmanager
def serving(settings: Settings) -> Iterator[str]:
    """The URL of an es_search process over the index of `settings`."""
    port = free_port()
    env = {
        "YIJU_DATA": str(settings.data.resolve()),
        "YIJU_SEARCH": settings.search,
        **{f"YIJU_{name.upper()}": getattr(settings, name) for name in ("es_urls", "es_index", "es_analysis")},
        "YIJU_SEARCH_PORT": str(port),
        "YIJU_API_KEYS": "",
        "YIJU_EMBEDDER": "none",  # a question's vector has its own benchmark
        "YIJU_LOG_LEVEL": "INFO",
    }
    url = f"http://127.0.0.1:{port}"
    with running("es_search", env=env, is_up=lambda: is_ready(url)):
        yield url


def latencies(settings: Settings, questions: Sequence[str], beside: Mapping[str, Callable[[str], object]]) -> Latencies:
    """Each question over HTTP and in the ways of `beside`, one after the other, on one kept connection, by the HTTP
    library that Elasticsearch's client has, too."""
    with serving(settings) as url, urllib3.PoolManager(retries=False, timeout=30) as pool:

        def ask(question: str) -> None:
            answer = pool.request("POST", f"{url}/", json={"question": question, "top_k": TOP_K})
            if answer.status != 200:
                raise RuntimeError(f"HTTP {answer.status}: {answer.data!r}")

        ways = {HTTP: ask, **beside}
        for question in questions[:WARM_UP]:
            for way in ways.values():
                way(question)
        times: dict[str, list[float]] = {name: [] for name in ways}
        names = list(ways)
        for turn, question in enumerate(questions):
            # Whoever comes later finds the question's pages warm: they take turns.
            for at in range(turn, turn + len(names)):
                name = names[at % len(names)]
                times[name].append(_milliseconds(ways[name], question))
    return Latencies(tuple(times[HTTP]), {name: tuple(times[name]) for name in beside})


def _milliseconds(run: Callable[[str], object], question: str) -> float:
    began = time.perf_counter()
    run(question)
    return (time.perf_counter() - began) * 1000


def searches_per_second(settings: Settings, questions: Sequence[str], threads: int) -> float:
    """Of one reader that `threads` threads share."""
    with closing(open_reader(settings)) as reader, ThreadPoolExecutor(threads) as pool:
        list(pool.map(lambda q: reader.search(q, TOP_K), questions[:50]))
        began = time.perf_counter()
        list(pool.map(lambda q: reader.search(q, TOP_K), questions))
        return len(questions) / (time.perf_counter() - began)


def long_question_milliseconds(reader: PassageReader, questions: Sequence[tuple[str, str]]) -> tuple[list[float], int]:
    """The time of each question of (question, the id that must come first), and how many had it first. The first half
    warms up and does not count."""
    times, right = [], 0
    for question, _ in questions[: len(questions) // 2]:
        reader.search(question, TOP_K)
    questions = questions[len(questions) // 2 :]
    for question, expected in questions:
        began = time.perf_counter()
        hits = reader.search(question, TOP_K).hits
        times.append((time.perf_counter() - began) * 1000)
        right += bool(hits) and hits[0].id == expected
    return times, right
