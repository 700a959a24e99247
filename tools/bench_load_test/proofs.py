"""The proofs, one function each; every one returns its figures and says whether they are good enough."""

import math
import os
import random
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from statistics import median

from service_kit.settings import Settings
from tools.bench_load_test.servers import Delays, Null, Queue, serving
from tools.bench_load_test.theory import mean_wait_md1, mean_wait_of
from tools.load_test import arrivals
from tools.load_test.bootstrap import Values, ratio_of
from tools.load_test.figures import Figures, figures
from tools.load_test.loads import Load, Open, Steady
from tools.load_test.percentiles import Percentiles
from tools.load_test.run import run_load
from tools.load_test.target import Target

PERCENTILE_ERROR = 0.02
QUEUE_ERROR = 0.10
CAPACITY = 2000.0
"""Requests per second that the client must manage on one core."""
FALSE_ALARMS = 0.15
"""Largest share of comparisons of the same with the same that may find a difference."""

SETTLING = 500
"""Requests until a queue that begins empty is in equilibrium."""

Row = tuple[str, float, float, float | None]
"""What, expected, measured, relative error (None where the two are not meant to be equal)."""


@dataclass(frozen=True)
class Proof:
    """What one proof found."""

    name: str
    passed: bool
    rows: tuple[Row, ...]
    notes: dict[str, float] = field(default_factory=dict)


def prove_percentiles(settings: Settings, count: int = 3000, rate: float = 50.0) -> Proof:
    """Known service times, log-normal around 200 ms, against what is measured of them."""
    dice = random.Random(1)  # noqa: S311
    delays = [0.2 * math.exp(0.4 * dice.gauss(0, 1)) for _ in range(count)]
    with serving(Delays(delays)) as url:
        found = _measure(settings, url, Open("constant", rate, arrivals.constant(rate, count / rate), 500))
    assert found.latency
    ranked = sorted(delays)
    rows = tuple(
        _row(f"p{percent} s", ranked[math.ceil(percent / 100 * count) - 1], getattr(found.latency, f"p{percent}"))
        for percent in (50, 90, 95, 99)
    )
    rows += (_row("max s", ranked[-1], found.latency.max),)
    return Proof("percentiles", _within(rows, PERCENTILE_ERROR) and found.failures == 0, rows)


def prove_queueing(settings: Settings, service_s: float = 0.01, load: float = 0.6, duration_s: float = 150.0) -> Proof:
    """One worker with a constant service time: the open loop sees its queue, a closed loop never."""
    rate = load / service_s
    times = arrivals.poisson(rate, duration_s, seed=0)
    aside_s = duration_s / 10
    with serving(Queue(service_s)) as url:
        # At equal distances nothing queues: the service, the connection and both event loops are left.
        even = _latency(settings, url, Open("constant", rate, arrivals.constant(rate, aside_s), 500))
        closed = _measure(settings, url, Steady(1, aside_s))
        opened = _latency(settings, url, Open("poisson", rate, times, 500))
    assert closed.latency
    wait = opened.mean - even.mean
    rows = (
        _row("mean wait s, open loop, against M/D/1", mean_wait_md1(rate, service_s), wait),
        _row("mean wait s, open loop, against these arrivals", mean_wait_of(times, service_s), wait),
    )
    hidden: Row = ("mean wait s, closed loop of one thread", 0.0, closed.latency.mean - even.mean, None)
    notes = {
        "open rate": rate,
        "closed rate": closed.rate,
        "open p99 s": opened.p99,
        "closed p99 s": closed.latency.p99,
    }
    return Proof("queueing", _within(rows, QUEUE_ERROR), (*rows, hidden), notes)


def prove_capacity(settings: Settings, duration_s: float = 5.0, repeats: int = 3, threads: int = 32) -> Proof:
    """The client on one core, the server on another one where there is one; and whether it says when it is too slow.

    Judged by the client's own CPU time: other programs may take the core away for a while, but not make it slower.
    """
    cores = sorted(os.sched_getaffinity(0))
    with serving(Null(), cores[0]) as url, _pinned(cores[-1]):
        closed = [_measure(settings, url, Steady(threads, duration_s)) for _ in range(repeats)]
        times = arrivals.poisson(CAPACITY, duration_s, seed=0)
        opened = _measure(settings, url, Open("poisson", CAPACITY, times, 500))
    rate = median(found.rate / found.client_cpu for found in closed)
    warned = all(found.client_is_bottleneck for found in closed)
    assert opened.lateness
    rows: tuple[Row, ...] = (
        ("requests per second of the client's CPU time", CAPACITY, rate, None),
        ("requests/s, closed loop", CAPACITY, median(found.rate for found in closed), None),
        ("requests/s, open loop", CAPACITY, opened.rate, None),
    )
    notes = {
        "closed loop: share of its core that the client got": median(found.client_cpu for found in closed),
        "closed loop: warned": float(warned),
        "open loop: share of its core that the client used": opened.client_cpu,
        "open loop: late p50 s": opened.lateness.p50,
        "open loop: late p99 s": opened.lateness.p99,
        "open loop: dropped": float(opened.dropped),
    }
    return Proof("capacity", rate >= CAPACITY and warned and all(f.failures == 0 for f in closed), rows, notes)


def prove_comparison(pairs: int = 100, count: int = 2000, load: float = 0.7) -> Proof:
    """How often `compare` finds a difference between two runs of the same queue, and of one that is 30 % slower."""
    same = slower = 0
    for seed in range(pairs):
        first = _queue_latencies(count, load, 3 * seed)
        same += ratio_of(first, _queue_latencies(count, load, 3 * seed + 1), _mean).differs
        slower += ratio_of(first, [1.3 * x for x in _queue_latencies(count, load, 3 * seed + 2)], _mean).differs
    rows = (
        ("share called different, same against same", 1 - 0.95, same / pairs, None),
        ("share called different, same against 30 % slower", 1.0, slower / pairs, None),
    )
    return Proof("comparison", same / pairs <= FALSE_ALARMS, rows)


def _measure(settings: Settings, url: str, load: Load) -> Figures:
    return figures(run_load(load, Target("llm", url), ("?",), settings, timeout_s=60))


def _latency(settings: Settings, url: str, load: Load) -> Percentiles:
    latency = _measure(settings, url, load).latency
    assert latency, "the server answers every request"
    return latency


@contextmanager
def _pinned(core: int) -> Iterator[None]:
    before = os.sched_getaffinity(0)
    os.sched_setaffinity(0, {core})
    try:
        yield
    finally:
        os.sched_setaffinity(0, before)


def _queue_latencies(count: int, load: float, seed: int) -> list[float]:
    """Latencies of an M/D/1 queue of service time 1 in equilibrium."""
    times = arrivals.poisson(load, (count + SETTLING) / load, seed)
    latencies, free_at = [], 0.0
    for time in times:
        free_at = max(time, free_at) + 1
        latencies.append(free_at - time)
    return latencies[SETTLING:]


def _mean(values: Values) -> float:
    return float(values.mean())


def _row(name: str, expected: float, measured: float) -> Row:
    return name, expected, measured, measured / expected - 1


def _within(rows: Sequence[Row], error: float) -> bool:
    return all(abs(row[3] or 0.0) <= error for row in rows)
