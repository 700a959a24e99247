"""Asks a server for a while with some clients on kept connections, and notes how long each answer took."""

import http.client
import json
import statistics
import threading
import time
from dataclasses import dataclass


@dataclass(frozen=True)
class Figures:
    """Answers a second, and milliseconds an answer."""

    name: str
    clients: int
    per_s: float
    p50_ms: float
    p99_ms: float


def measure(name: str, port: int, clients: int, seconds: float, sessions: int = 100) -> Figures:
    """Ask for `seconds`; each client goes round `sessions` sessions of its own."""
    took: list[float] = []
    ends = time.monotonic() + seconds

    def ask(client: int) -> None:
        connection = http.client.HTTPConnection("127.0.0.1", port)
        mine, n = [], 0
        while time.monotonic() < ends:
            body = {"id": f"{client}-{n % sessions}", "content": "专项债务收入可以用于经常性支出吗？"}
            began = time.perf_counter()
            connection.request("POST", "/get_bot_response", json.dumps(body).encode())
            answer = connection.getresponse()
            text = answer.read()
            mine.append(time.perf_counter() - began)
            if answer.status != 200:
                raise RuntimeError(f"{name}: HTTP {answer.status} {text[:300]!r}")
            n += 1
        connection.close()
        took.extend(mine)

    began = time.monotonic()
    threads = [threading.Thread(target=ask, args=(client,)) for client in range(clients)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if not took:
        raise RuntimeError(f"{name}: no answer")
    cuts = statistics.quantiles(took, n=100)
    return Figures(name, clients, len(took) / (time.monotonic() - began), cuts[49] * 1000, cuts[98] * 1000)
