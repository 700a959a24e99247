"""The proofs of the load test at reduced size: that they run, and that they look at the right thing."""

import json
from pathlib import Path

import pytest

from service_kit.settings import Settings
from tools.bench_load_test.__main__ import main
from tools.bench_load_test.proofs import prove_capacity, prove_comparison, prove_percentiles, prove_queueing
from tools.bench_load_test.theory import mean_wait_md1, mean_wait_of
from tools.load_test.arrivals import poisson


def test_the_formula_and_the_recursion_agree() -> None:
    times = poisson(60, 5000, seed=3)
    assert mean_wait_of(times, 0.01) == pytest.approx(mean_wait_md1(60, 0.01), rel=0.05)


def test_a_lone_request_waits_for_nobody() -> None:
    assert mean_wait_of([5.0], 1.0) == 0
    assert mean_wait_of([0, 1, 10], 4) == 1


def test_measured_percentiles_are_not_below_the_known_times(settings: Settings) -> None:
    proof = prove_percentiles(settings, count=100, rate=100)
    assert [row[0] for row in proof.rows] == ["p50 s", "p90 s", "p95 s", "p99 s", "max s"]
    # The histogram's resolution is a thousandth.
    assert all(measured >= 0.999 * expected for _, expected, measured, _ in proof.rows)


def test_the_open_loop_sees_a_queue_that_the_closed_loop_hides(settings: Settings) -> None:
    proof = prove_queueing(settings, service_s=0.02, load=0.8, duration_s=5)
    _, (_, expected, opened, _), (_, _, closed, _) = proof.rows
    assert opened > closed
    assert opened > expected / 2


def test_the_capacity_is_measured_and_the_client_says_that_it_is_the_bottleneck(settings: Settings) -> None:
    proof = prove_capacity(settings, duration_s=1.1, repeats=1)
    assert all(measured > 0 for _, _, measured, _ in proof.rows)
    assert proof.notes["closed loop: warned"] in (0, 1)


def test_comparing_finds_a_slower_queue_more_often_than_a_difference_that_is_none() -> None:
    (_, _, wrong, _), (_, _, right, _) = prove_comparison(pairs=8).rows
    assert wrong < right


def test_the_command_writes_its_figures(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.bench_load_test.__main__.prove_comparison", lambda: prove_comparison(pairs=2))
    path = tmp_path / "bench.json"
    main(["--only", "comparison", "--json", str(path)])
    assert json.loads(path.read_text("utf-8"))["proofs"][0]["name"] == "comparison"
