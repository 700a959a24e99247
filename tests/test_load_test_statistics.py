"""The figures of a run, as pure functions of samples."""

import random
from dataclasses import replace
from itertools import accumulate

import pytest

from service_kit.errors import InvalidRequest
from tools.load_test.assertions import NAMES, parse_assertion, value_of
from tools.load_test.bootstrap import ratio_of
from tools.load_test.compare import compared, pairs
from tools.load_test.figures import OTHER, figures
from tools.load_test.files import Stored
from tools.load_test.loads import Rounds
from tools.load_test.objectives import Objectives, parse_objectives
from tools.load_test.percentiles import percentiles
from tools.load_test.run import Run
from tools.load_test.sample import Sample
from tools.load_test.strain import Strain
from tools.load_test.summary import comparison, summary
from tools.load_test.table import aligned


def sample(latency: float, fault: str | None = None, **more: object) -> Sample:
    """A request that was meant to begin at 1 s, began 0.1 s late and took `latency`."""
    return replace(Sample(0, 1.0, 1.1, 1.0 + latency, fault), **more)  # type: ignore[arg-type]


def run_of(*samples: Sample, **more: object) -> Run:
    return replace(Run(Rounds(2, 1), samples, elapsed_s=10.0), **more)  # type: ignore[arg-type]


def test_percentiles_are_values_that_were_seen() -> None:
    found = percentiles(n / 1000 for n in range(1, 1001))
    assert found
    points = (found.p50, found.p90, found.p95, found.p99, found.max)
    assert points == pytest.approx((0.5, 0.9, 0.95, 0.99, 1.0), rel=0.001)
    assert (found.count, found.min) == (1000, 0.001)
    assert found.mean == pytest.approx(0.5005)


def test_no_percentile_is_above_the_largest_value() -> None:
    found = percentiles([5.123456])
    assert found
    assert found.p50 == found.p99 == found.max == 5.123456
    assert percentiles([]) is None


def test_latency_begins_at_the_intended_start_and_lateness_is_told() -> None:
    found = figures(run_of(sample(3.0)))
    assert found.latency
    assert found.lateness
    assert (found.latency.max, found.lateness.max) == pytest.approx((3.0, 0.1))


def test_times_are_those_of_answers_and_faults_are_counted_by_name() -> None:
    found = figures(run_of(sample(2.0), sample(0.01, "HTTP 500"), sample(0.01, "status 444"), sample(0.01, "HTTP 500")))
    assert found.latency
    assert found.latency.min == found.latency.max == 2.0
    assert found.faults == {"HTTP 500": 2, "status 444": 1}
    assert (found.requests, found.succeeded, found.failures) == (4, 1, 3)
    assert found.rate == pytest.approx(0.1)


def test_refusals_stand_apart() -> None:
    found = figures(
        run_of(sample(1, "HTTP 429", retry_after=3.0), sample(1, "HTTP 429", retry_after=9.0), sample(1, "HTTP 503"))
    )
    assert found.refused == found.failures == 3
    assert not found.faults
    assert found.refusals["HTTP 429"].retry_after == (3, 9)
    assert found.refusals["HTTP 503"].retry_after is None


def test_streams_give_first_piece_gaps_and_tokens() -> None:
    streamed = sample(3.0, first=2.0, gaps=(0.5, 1.5), tokens=5)
    found = figures(run_of(streamed, sample(1.0)))
    assert found.ttft
    assert found.gap
    assert found.tokens_per_s
    assert (found.ttft.count, found.ttft.max) == (1, 1.0)
    assert (found.gap.count, found.gap.max) == (2, 1.5)
    assert found.tokens_per_s.p50 == pytest.approx(2.0)
    assert found.all_tokens_per_s == pytest.approx(0.5)


def test_stages_and_what_they_leave_make_up_the_latency() -> None:
    found = figures(run_of(sample(2.0, stages={"retrieve": 0.5, "answer": 1.0}), sample(4.0, stages={"retrieve": 1.5})))
    assert {name: stage.share for name, stage in found.stages.items()} == pytest.approx(
        {"retrieve": 2 / 6, "answer": 1 / 6, OTHER: 3 / 6}
    )
    assert found.stages["retrieve"].mean_s == pytest.approx(1.0)


def test_goodput_counts_answers_in_time_and_drops_are_none() -> None:
    samples = (sample(3.0), sample(30.0), sample(3.0, first=3.5, gaps=()), sample(1.0, "HTTP 500"))
    found = figures(run_of(*samples, dropped=6), Objectives(ttft=2.9, total=20))
    assert found.goodput
    assert (found.goodput.per_s, found.goodput.share) == pytest.approx((0.1, 0.1)), "the third: its text came in time"


def test_an_objective_on_the_first_text_needs_the_whole_answer_when_it_is_not_streamed() -> None:
    assert not Objectives(ttft=2).met_by(sample(3.0))
    assert Objectives(ttft=2).met_by(sample(3.0, first=2.5))


@pytest.mark.parametrize("text", ["", "ttft", "ttft=x", "speed=2", "ttft=2,"])
def test_objectives_that_can_not_be_read_are_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_objectives(text)


def test_objectives_are_read() -> None:
    assert parse_objectives("ttft=2,total=20") == Objectives(2, 20)


@pytest.mark.parametrize(
    ("text", "holds"),
    [("p99<2.5", True), ("p99<2", False), ("failures==0", True), ("latency_max >= 2", True), ("rate!=0", True),
     ("ttft_p50<1", False), ("leaks>0", False), ("goodput>=0", False)],
)  # fmt: skip
def test_assertions(text: str, *, holds: bool) -> None:
    assert parse_assertion(text).holds(figures(run_of(sample(2.0)))) is holds


def test_every_name_can_be_asked_for() -> None:
    found = figures(run_of(sample(2.0, first=2.0, gaps=(0.5,), tokens=2)), Objectives(total=1))
    assert all(value_of(name, found) is not None for name in NAMES)


@pytest.mark.parametrize("text", ["p99", "p98<1", "p99<x", "p99<1e", "__class__==0", "p99<1; p50<1"])
def test_assertions_that_can_not_be_read_are_refused(text: str) -> None:
    with pytest.raises(InvalidRequest):
        parse_assertion(text)


def test_the_client_is_the_bottleneck_when_it_is_busy_or_late() -> None:
    assert Strain(0.9, 0, 2).is_bottleneck(1)
    assert Strain(0.1, 0.2, 2).is_bottleneck(1)
    assert not Strain(0.1, 0.05, 2).is_bottleneck(1)
    assert not Strain(0.9, 0.2, 0.5).is_bottleneck(1), "too short to tell"


def test_an_interrupted_run_says_so_and_needs_no_answer() -> None:
    run = run_of(elapsed_s=-1.0, interrupted=True, unfinished=3)
    lines = "\n".join(summary(run, figures(run), "zh"))
    assert "3 个请求没有等到回答" in lines
    assert "总成功次数: 0, 总失败次数: 0" in lines


def test_the_table_shows_the_ratio_to_the_first_load() -> None:
    runs = [
        Run(Rounds(1, 1), (sample(16.32),), 20.0),
        Run(Rounds(3, 1), (sample(49.21),), 60.0),
        Run(Rounds(5, 1), (sample(1.0, "HTTP 500"),), 60.0),
    ]
    _, one, three, five = comparison([(run, figures(run)) for run in runs], "zh")
    assert one.split()[:3] == ["1", "16.320s", "1.00"]
    assert three.split()[:3] == ["3", "49.210s", "3.02"]
    assert five.split()[1] == "-"


def test_columns_stand_under_each_other_in_chinese_too() -> None:
    assert aligned([("耗时", "a"), ("x", "均值")]) == ["耗时     a", "x     均值"]


def queue_latencies(seed: int, service: float = 1.0) -> tuple[float, ...]:
    """An M/D/1 queue at 0.7: each latency depends on the one before."""
    dice, wait, found = random.Random(seed), 0.0, list[float]()
    for _ in range(2000):
        found.append(wait + service)
        wait = max(0.0, wait + service - dice.expovariate(0.7 / service))
    return tuple(found)


def stored(latencies: tuple[float, ...], label: str = "threads 1") -> Stored:
    return Stored(label, latencies, (), tuple(accumulate(latencies)))


def test_a_run_does_not_differ_from_itself_and_differs_from_one_half_as_fast() -> None:
    one, slow = stored(queue_latencies(1)), stored(queue_latencies(1, 2.0))
    assert not any(ratio.differs for _, ratio in compared(one, one))
    found = dict(compared(one, slow))
    assert set(found) == {"mean", "p50", "p90", "p99", "rate"}
    assert all(ratio.differs for ratio in found.values())
    assert found["mean"].ratio == pytest.approx(2)
    assert found["mean"].low < 2 < found["mean"].high
    assert found["rate"].ratio == pytest.approx(0.5, rel=0.01)


def test_intervals_of_one_queue_against_another_seldom_call_a_difference() -> None:
    wrong = sum(
        ratio_of(queue_latencies(seed), queue_latencies(1000 + seed), lambda v: float(v.mean())).differs
        for seed in range(20)
    )
    assert wrong <= 4


def test_the_rate_counts_the_wait_for_the_first_answer() -> None:
    even = stored((2.0,) * 20)
    assert dict(compared(even, even))["rate"].first == pytest.approx(0.5)


def test_a_percentile_of_too_few_answers_is_not_compared() -> None:
    few = stored(tuple(float(n) for n in range(1, 31)))
    assert set(dict(compared(few, few))) == {"mean", "p50", "rate"}


def test_runs_are_paired_by_their_load() -> None:
    first = [stored((1.0,), "threads 1"), stored((1.0,), "threads 3")]
    second = [stored((1.0,), "threads 3"), stored((1.0,), "threads 5")]
    assert [label for label, _, _ in pairs(first, second)] == ["threads 3"]
    assert [label for label, _, _ in pairs(first[:1], second[:1])] == ["threads 1 | threads 3"]
    with pytest.raises(InvalidRequest):
        pairs(first, second[1:])
