"""Clients that stream answers over HTTP and note when each piece came."""

import json
import statistics
import threading
import time
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field, fields, replace
from typing import Any, NamedTuple

import requests

Messages = list[dict[str, str]]


@dataclass
class Answered:
    """One request: seconds since it was sent at which pieces came, and what it used."""

    at: list[float] = field(default_factory=list)
    seconds: float = 0.0
    tokens: int = 0
    prompt_tokens: int = 0
    text: str = ""

    @property
    def ttft(self) -> float:
        """Of the first text; of the end, if the answer was empty."""
        return self.at[0] if self.at else self.seconds


def ask(url: str, messages: Messages, max_tokens: int, live: Answered | None = None) -> Answered:
    """Greedy, streamed. `live`: filled while it streams, for those who watch. Raises on any HTTP error."""
    done = live or Answered()
    body: dict[str, Any] = {"messages": messages, "max_tokens": max_tokens, "temperature": 0, "stream": True}
    body["stream_options"] = {"include_usage": True}
    began, buffer = time.perf_counter(), b""
    with requests.post(f"{url}/v1/chat/completions", json=body, stream=True, timeout=1800) as response:
        response.raise_for_status()
        for data in response.iter_content(None):
            buffer += data
            *lines, buffer = buffer.split(b"\n\n")
            for line in lines:
                _note(line, done, time.perf_counter() - began)
    done.seconds = time.perf_counter() - began
    return done


def _note(line: bytes, done: Answered, now: float) -> None:
    text = line.removeprefix(b"data: ")
    if text == b"[DONE]":
        return
    chunk = json.loads(text)
    if chunk.get("usage"):
        done.tokens, done.prompt_tokens = chunk["usage"]["completion_tokens"], chunk["usage"]["prompt_tokens"]
    for choice in chunk["choices"]:
        if piece := choice["delta"].get("content"):
            done.at.append(now)
            done.text += piece


class Server(NamedTuple):
    """An llm_server process: where it listens, and how much processor time it has used."""

    engine: str
    url: str
    cpu_s: Callable[[], float]


@dataclass(frozen=True)
class Figures:
    """What one workload gave: `tokens_per_s` generated in all, the rest in seconds."""

    workload: str
    engine: str
    clients: int
    tokens_per_s: float
    mean_s: float
    p95_s: float
    ttft_s: float
    wall_s: float
    cpu_s: float
    """Processor time of the server, all of its threads."""
    answers: int
    tokens: int
    prompt_tokens: float
    """Of one prompt, on average."""


Talk = Callable[[], list[Answered]]
"""What one client does: it asks, once or several times in turn."""


def run_together(server: Server, workload: str, talks: Sequence[Talk], *, spacing_s: float = 0.0) -> Figures:
    """All at once, one client each, or one every `spacing_s` seconds."""
    answers: list[list[Answered]] = [[] for _ in talks]

    def client(index: int) -> None:
        time.sleep(index * spacing_s)  # the arrivals are the workload
        answers[index] = talks[index]()

    cpu_before = server.cpu_s()
    threads = [threading.Thread(target=client, args=(index,)) for index in range(len(talks))]
    began = time.perf_counter()
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    wall = time.perf_counter() - began
    if failed := answers.count([]):
        raise RuntimeError(f"{workload}: {failed} of {len(talks)} clients failed")
    done = [answer for one in answers for answer in one]
    seconds = sorted(answer.seconds for answer in done)
    return Figures(
        workload,
        server.engine,
        len(talks),
        sum(answer.tokens for answer in done) / wall,
        statistics.mean(seconds),
        seconds[min(len(seconds) - 1, int(0.95 * len(seconds)))],
        statistics.mean(answer.ttft for answer in done),
        wall,
        server.cpu_s() - cpu_before,
        len(done),
        sum(answer.tokens for answer in done),
        statistics.mean(answer.prompt_tokens for answer in done),
    )


def pooled(several: Iterable[Figures]) -> list[Figures]:
    """The medians of those of the same workload, engine and number of clients."""
    groups: defaultdict[tuple[str, str, int], list[Figures]] = defaultdict(list)
    for one in several:
        groups[(one.workload, one.engine, one.clients)].append(one)
    return [merged(group, statistics.median) for group in groups.values()]


def merged(alike: Sequence[Figures], how: Callable[[list[float]], float]) -> Figures:
    """Each number by `how` (a mean, a median), of figures of one workload, engine and number of clients."""
    numbers = [each.name for each in fields(Figures) if each.name not in {"workload", "engine", "clients"}]
    values: dict[str, Any] = {name: how([getattr(one, name) for one in alike]) for name in numbers}
    return replace(alike[0], **values)
