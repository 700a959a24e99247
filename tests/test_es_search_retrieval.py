"""tools.evaluate_retrieval on a small set, and the recipe's figures where the benches are at hand."""

import json
from pathlib import Path
from typing import Any

import pytest

from tools.evaluate_retrieval import main, summarise

BENCH = Path(__file__).parent.parent.parent / "shared" / "retrieval_bench"


def evaluate(tmp_path: Path, passages: Path, queries: Path) -> dict[str, Any]:
    figures = tmp_path / "figures.json"
    assert main([str(passages), str(queries), "--engine", "embedded", "--json", str(figures)]) == 0
    loaded: dict[str, Any] = json.loads(figures.read_text())
    return loaded


def test_small_set(tmp_path: Path) -> None:
    subjects = ["专项债券", "一般债券", "转移支付", "预备费", "国有资本经营预算"]
    passages, queries = tmp_path / "p.jsonl", tmp_path / "q.jsonl"
    passages.write_text(
        "\n".join(json.dumps({"id": name, "title": name, "text": f"{name}是预算的一部分。"}) for name in subjects)
    )
    queries.write_text("\n".join(json.dumps({"query": f"什么是{name}？", "gold": [name]}) for name in subjects))
    figures = evaluate(tmp_path, passages, queries)
    assert figures["R@1"] == figures["MRR@10"] == 1.0
    assert figures["queries"] == 5


def test_measures() -> None:
    figures = summarise([1, 2, 4, 50, 101])
    assert [figures[f"R@{k}"] for k in (1, 2, 5, 10, 100)] == [0.2, 0.4, 0.6, 0.6, 0.8]
    assert figures["MRR@10"] == pytest.approx((1 + 1 / 2 + 1 / 4) / 5)
    low, high = figures["intervals"]["R@2"]
    assert 0 <= low < 0.4 < high <= 1


@pytest.mark.slow
@pytest.mark.skipif(not BENCH.exists(), reason="the benches are not part of the repository")
def test_cmrc_figures(tmp_path: Path) -> None:
    figures = evaluate(tmp_path, BENCH / "cmrc.passages.jsonl", BENCH / "cmrc.queries.jsonl")
    assert figures["R@1"] >= 0.965
    assert figures["R@2"] >= 0.990


@pytest.mark.slow
@pytest.mark.skipif(not BENCH.exists(), reason="the benches are not part of the repository")
def test_law_figures(tmp_path: Path) -> None:
    figures = evaluate(tmp_path, BENCH / "law.passages.jsonl.xz", BENCH / "law.queries.jsonl")
    assert figures["R@2"] >= 0.423
    assert figures["R@100"] >= 0.777
