"""`python -m tools.bench_rag`: a small run of all of it, and its verdict."""

import json
import sqlite3
from pathlib import Path

import pytest

from rag_server.followups.leaning import leans_on_history, own_words
from rag_server.store.database import FILE_NAME
from rag_server.understand import DOUBTFUL_LENGTH
from tools.bench_rag import FLOOR, P50_MS, bars, fill, main
from tools.rag_bench.clients import QUESTIONS, Figures, median


def figures(name: str, per_s: float, p50_ms: float) -> Figures:
    return Figures(name, "requests", 1, per_s, p50_ms, 2 * p50_ms)


def test_a_small_run_writes_figures_and_bars(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    file = tmp_path / "figures.json"
    code = main(["--seconds", "0.3", "--rounds", "1", "--turns", "100", "--json", str(file)])
    told = json.loads(file.read_text())
    names = {one["name"] for one in told["figures"]}
    assert names == {"floor", "rag_server, extract", "rag_server, model", "rag_server, model, 100 turns"}
    assert {(one["clients"], one["client"]) for one in told["figures"]} == {
        (1, "requests"),
        (1, "http.client"),
        (4, "requests"),
    }
    assert all(0 < one["p50_ms"] <= one["p99_ms"] and one["per_s"] > 0 for one in told["figures"])
    assert len(told["bars"]) == 3 * 3 + 3 * 2  # a share for each client, p50 for single ones
    assert code == (0 if all(reached for *_, reached in told["bars"]) else 1)
    assert capsys.readouterr().out.count("(bar ") == len(told["bars"])


def test_a_bar_is_missed_by_too_few_answers_or_too_slow_ones() -> None:
    floor = figures(FLOOR, 1000, 1)
    reached = {per_s: [ok for *_, ok in bars([floor, figures("x", per_s, p50)])] for per_s, p50 in
               ((250, P50_MS), (249, P50_MS), (251, P50_MS + 0.1))}  # fmt: skip
    assert reached == {250: [True, True], 249: [False, True], 251: [True, False]}


def test_the_median_of_each_figure_counts() -> None:
    assert median([figures("x", 1, 9), figures("x", 3, 5), figures("x", 2, 1)]) == figures("x", 2, 5)


def test_no_cache_holds_the_questions_and_each_is_searched_three_times() -> None:
    kept = own_words.cache_info().maxsize
    assert kept is not None and len(set(QUESTIONS)) > kept  # the first is for mypy
    assert not any(map(leans_on_history, QUESTIONS[::97]))
    assert all(len(own_words(question)) <= DOUBTFUL_LENGTH for question in QUESTIONS[::97])


def test_the_trail_is_filled_with_turns(tmp_path: Path) -> None:
    fill(tmp_path, 250)
    db = sqlite3.connect(tmp_path / FILE_NAME)
    assert db.execute("SELECT count(*), count(DISTINCT trace_id) FROM trail").fetchone() == (250, 250)
    db.close()


def test_options_that_make_no_sense_are_refused(capsys: pytest.CaptureFixture[str]) -> None:
    with pytest.raises(SystemExit) as ended:
        main(["--rounds", "0"])
    assert ended.value.code == 2
    assert "--rounds >= 1" in capsys.readouterr().err
