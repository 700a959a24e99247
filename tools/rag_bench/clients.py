"""Asks a server for a while with some clients on kept connections, and notes how long each answer took."""

import http.client
import json
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import product
from typing import Any, Literal

import requests

Client = Literal["requests", "http.client"]
"""`requests` is what a user of the services would write; `http.client` takes the least time for itself."""
Ask = Callable[[dict[str, Any]], tuple[int, bytes]]

PATH = "/get_bot_response"
SESSIONS = 100
QUESTIONS = tuple(
    f"{debt}{sum_}可以用于{use}支出吗？"
    for debt, sum_, use in product(
        ("专项债务", "一般债务", "土地储备", "收费公路", "棚改债券", "隐性债务", "外债转贷"),
        ("收入", "结余", "利息", "本金", "限额"),
        ("经常性", "公益性", "资本性", "机构运转", "人员工资", "偿债备付", "项目前期"),
    )
)
"""As many as it takes for no stage to find its last results again."""


@dataclass(frozen=True)
class Figures:
    """Answers a second, and milliseconds an answer."""

    name: str
    client: Client
    clients: int
    per_s: float
    p50_ms: float
    p99_ms: float


def measure(name: str, port: int, clients: int, seconds: float, client: Client = "requests") -> Figures:
    """Ask for `seconds`; each client goes round SESSIONS sessions of its own."""
    took: list[float] = []
    ends = time.monotonic() + seconds
    connected = _requests if client == "requests" else _http_client

    def run(number: int) -> None:
        mine, n = [], 0
        with connected(port) as ask:
            while time.monotonic() < ends:
                body = {"id": f"{number}-{n % SESSIONS}", "content": QUESTIONS[n % len(QUESTIONS)]}
                began = time.perf_counter()
                status, text = ask(body)
                mine.append(time.perf_counter() - began)
                if status != 200:
                    raise RuntimeError(f"{name}: HTTP {status} {text[:300]!r}")
                n += 1
        took.extend(mine)

    began = time.monotonic()
    threads = [threading.Thread(target=run, args=(number,)) for number in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if not took:
        raise RuntimeError(f"{name}: no answer")
    cuts = statistics.quantiles(took if len(took) > 1 else took * 2, n=100)
    return Figures(name, client, clients, len(took) / (time.monotonic() - began), cuts[49] * 1000, cuts[98] * 1000)


def median(measured: Sequence[Figures]) -> Figures:
    """Of several measurements of one thing, each figure's median."""

    def middle(name: str) -> float:
        return float(statistics.median(getattr(one, name) for one in measured))

    return replace(measured[0], per_s=middle("per_s"), p50_ms=middle("p50_ms"), p99_ms=middle("p99_ms"))


@contextmanager
def _requests(port: int) -> Iterator[Ask]:
    with requests.Session() as session:
        session.trust_env = False  # no proxy between here and here

        def ask(body: dict[str, Any]) -> tuple[int, bytes]:
            answer = session.post(f"http://127.0.0.1:{port}{PATH}", json=body)
            return answer.status_code, answer.content

        yield ask


@contextmanager
def _http_client(port: int) -> Iterator[Ask]:
    connection = http.client.HTTPConnection("127.0.0.1", port)

    def ask(body: dict[str, Any]) -> tuple[int, bytes]:
        connection.request("POST", PATH, json.dumps(body).encode())
        answer = connection.getresponse()
        return answer.status, answer.read()

    yield ask
    connection.close()
