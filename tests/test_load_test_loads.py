"""When the load test asks what: rounds, steady users, arrivals that wait for nobody, conversations."""

import itertools
import threading
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, jsonify, request
from flask.typing import ResponseReturnValue

from service_kit.errors import InvalidRequest
from service_kit.settings import Settings
from tests.servers import served
from tools.load_test.arrivals import constant, poisson, trace
from tools.load_test.canaries import foreign_canaries
from tools.load_test.figures import figures
from tools.load_test.loads import Conversations, Load, Open, Rounds, Steady
from tools.load_test.run import Run, run_load
from tools.load_test.target import Name, Target


@dataclass
class Service:
    """Answers what `answer` makes of a body; notes the bodies and how many requests it had in hand at once."""

    bodies: list[dict[str, Any]] = field(default_factory=list)
    most: int = 0
    _now: int = 0
    _lock: threading.Lock = field(default_factory=threading.Lock)

    def app(self) -> Flask:
        app = Flask("remote")

        @app.post("/")
        def ask() -> ResponseReturnValue:
            body = request.get_json()
            with self._lock:
                self.bodies.append(body)
                self._now += 1
                self.most = max(self.most, self._now)
            answer = self.answer(body)
            with self._lock:
                self._now -= 1
            return jsonify(answer)

        return app

    def answer(self, body: dict[str, Any]) -> dict[str, Any]:
        return {"response": "好"}


def run_on(
    service: Service,
    load: Load,
    settings: Settings,
    name: Name = "llm",
    questions: tuple[str, ...] = ("一", "二", "三"),
) -> Run:
    with served(service.app()) as url:
        return run_load(load, Target(name, url), questions, settings, timeout_s=20)


def test_in_a_round_all_threads_ask_and_the_next_waits_for_the_slowest(settings: Settings) -> None:
    class Meeting(Service):
        """Answers only when three requests are there, and would break if the next round did not wait."""

        barrier = threading.Barrier(3, timeout=10)

        def answer(self, body: dict[str, Any]) -> dict[str, Any]:
            self.barrier.wait()
            return {"response": "好"}

    service = Meeting()
    run = run_on(service, Rounds(3, 2), settings)
    assert [sample.ok for sample in run.samples] == [True] * 6
    assert {sample.user for sample in run.samples} == {0, 1, 2}
    assert service.most == 3
    first, second = run.samples[:3], run.samples[3:]
    assert max(sample.ended for sample in first) <= min(sample.intended for sample in second)


def test_questions_are_asked_in_turn_again_and_again(settings: Settings) -> None:
    service = Service()
    run_on(service, Rounds(1, 4), settings)
    assert [body["messages"][-1]["content"] for body in service.bodies] == ["一", "二", "三", "一"]


def test_a_steady_load_lasts_for_its_time_and_its_warm_up_does_not_count(settings: Settings) -> None:
    service = Service()
    run = run_on(service, Steady(2, 0.3, warmup_s=0.2), settings)
    assert run.warmup > 0
    assert len(run.samples) + run.warmup == len(service.bodies)
    assert all(0 <= sample.intended < 0.3 for sample in run.samples)
    assert run.elapsed_s >= 0.3
    assert service.most <= 2


def test_rounds_can_be_warmed_up_too(settings: Settings) -> None:
    service = Service()
    run = run_on(service, Rounds(1, 2, warmup_s=0.1), settings)
    assert len(run.samples) == 2
    assert run.warmup == len(service.bodies) - 2 > 0


def test_latency_counts_from_the_intended_start_though_the_server_is_busy(settings: Settings) -> None:
    class Stalling(Service):
        """Answers nothing until the last of five requests is there."""

        barrier = threading.Barrier(5, timeout=10)

        def answer(self, body: dict[str, Any]) -> dict[str, Any]:
            self.barrier.wait()
            return {"response": "好"}

    run = run_on(Stalling(), Open("constant", 50, constant(50, 0.1), max_in_flight=10), settings)
    assert sorted(sample.intended for sample in run.samples) == pytest.approx([0, 0.02, 0.04, 0.06, 0.08])
    # All waited for the last, which began 80 ms after the first: a closed loop of one thread would have asked once.
    assert min(sample.ended for sample in run.samples) >= 0.08
    assert max(sample.latency for sample in run.samples) >= 0.08
    assert run.max_in_flight == 5


def test_arrivals_beyond_the_most_in_flight_are_dropped_and_counted(settings: Settings) -> None:
    class Holding(Service):
        """Holds the first two requests until the load has no more to send."""

        def answer(self, body: dict[str, Any]) -> dict[str, Any]:
            over.wait(10)
            return {"response": "好"}

    over = threading.Event()
    threading.Timer(0.5, over.set).start()
    run = run_on(Holding(), Open("constant", 100, constant(100, 0.1), max_in_flight=2), settings)
    assert (len(run.samples), run.dropped, run.max_in_flight) == (2, 8, 2)


def test_arrivals_of_the_warm_up_are_sent_but_not_counted(settings: Settings) -> None:
    service = Service()
    run = run_on(service, Open("constant", 50, constant(50, 0.2), max_in_flight=100, warmup_s=0.1), settings)
    assert (len(service.bodies), len(run.samples), run.warmup) == (10, 5, 5)


def test_poisson_arrivals_are_random_but_the_same_for_a_seed() -> None:
    times = poisson(100, 100, seed=1)
    assert times == poisson(100, 100, seed=1) != poisson(100, 100, seed=2)
    assert list(times) == sorted(times)
    assert len(times) == pytest.approx(10_000, rel=0.05)
    gaps = [after - before for before, after in itertools.pairwise(times)]
    mean = sum(gaps) / len(gaps)
    variance = sum((gap - mean) ** 2 for gap in gaps) / len(gaps)
    assert variance**0.5 == pytest.approx(mean, rel=0.05), "of exponential gaps, mean and deviation are equal"


def test_a_trace_begins_at_zero(tmp_path: Path) -> None:
    path = tmp_path / "trace.txt"
    path.write_text("1700000002.5\n1700000000\n\n1700000001\n")
    assert trace(path) == (0, 1, 2.5)


@pytest.mark.parametrize("content", ["", "zwei\n", None])
def test_a_trace_that_is_none_is_refused(tmp_path: Path, content: str | None) -> None:
    path = tmp_path / "trace.txt"
    if content is not None:
        path.write_text(content)
    with pytest.raises(InvalidRequest):
        trace(path)


class Rag(Service):
    """rag_server's way with sessions: the history stays here, the question in full comes back."""

    leaky = False

    def __init__(self) -> None:
        super().__init__()
        self._said: dict[str, list[str]] = {}

    def answer(self, body: dict[str, Any]) -> dict[str, Any]:
        with self._lock:
            said = self._said.setdefault("all" if self.leaky else body["id"], [])
            said.append(body["content"])
            return {"response": "好", "new_query": said[0], "timings": {"retrieve": 2.0}}


def test_conversations_keep_their_session_and_find_no_leak_where_there_is_none(settings: Settings) -> None:
    service = Rag()
    run = run_on(service, Conversations(4, 3), settings, "rag")
    assert len({body["id"] for body in service.bodies}) == 4
    found = figures(run)
    assert (found.requests, found.leaks, found.canaries_seen) == (12, 0, 12)
    assert all(sample.stages == {"retrieve": 0.002} for sample in run.samples)


def test_a_leak_between_sessions_is_counted(settings: Settings) -> None:
    service = Rag()
    service.leaky = True
    found = figures(run_on(service, Conversations(4, 3), settings, "rag"))
    assert found.leaks == 12 - found.canaries_seen
    assert found.canaries_seen == 3


def test_a_model_gets_the_history_of_its_conversation(settings: Settings) -> None:
    service = Service()
    run_on(service, Conversations(1, 2), settings)
    last = service.bodies[-1]["messages"]
    assert [message["role"] for message in last] == ["user", "assistant", "user"]
    assert last[0] == service.bodies[0]["messages"][0]
    assert last[1]["content"] == "好"


def test_the_own_canary_is_no_leak() -> None:
    assert foreign_canaries("YJ0123456789ab YJ0123456789ac YJ0123456789ac", "YJ0123456789ab") == 1
