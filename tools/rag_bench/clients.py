"""Asks a server for a while with some clients on kept connections, and notes how long each answer took."""

import http.client
import json
import statistics
import threading
import time
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from itertools import count, product
from typing import Any, Literal

import requests

Client = Literal["requests", "http.client"]
"""`requests` is what a user of the services would write; `http.client` takes the least time for itself."""
Ask = Callable[[dict[str, Any]], tuple[int, bytes]]

PATH = "/get_bot_response"
SESSIONS = 100


def _words(*lines: str) -> list[str]:
    return [word for line in lines for word in line.split()]


_PLACES = _words(
    "北京 天津 上海 重庆 河北 山西 辽宁 吉林 江苏 浙江 安徽 福建 江西 山东 河南 湖北 湖南 广东 海南 四川",
    "贵州 云南 陕西 甘肃 青海 广西 西藏 宁夏 新疆 大连 青岛 宁波 厦门 深圳 南京 杭州 济南 武汉 成都 西安",
)
_FUNDS = _words(
    "专项债务 一般债务 土地储备 收费公路 棚改债券 隐性债务 外债转贷 存量债务 政府债券 再融资债",
    "偿债资金 土地出让 国有资本 政府基金 财政专户 转移支付 彩票公益 社会保险 结转资金 超收收入",
)
_USES = _words("经常性 公益性 资本性 生产性 机构运转 人员工资 偿债备付 项目前期 工程监理 征地拆迁 设备购置 日常维护")
QUESTIONS = tuple(f"{place}{fund}可以用于{use}支出吗？" for fund, use, place in product(_FUNDS, _USES, _PLACES))
"""More than any cache of rag_server holds."""
_asked: dict[str, Iterator[int]] = {}
"""How many each server was asked, over all measurements: no question comes again before all others came."""


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
    asked = _asked.setdefault(name, count())
    connected = _requests if client == "requests" else _http_client

    def run(number: int) -> None:
        mine, n = [], 0
        with connected(port) as ask:
            while time.monotonic() < ends:
                body = {"id": f"{number}-{n % SESSIONS}", "content": QUESTIONS[next(asked) % len(QUESTIONS)]}
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
