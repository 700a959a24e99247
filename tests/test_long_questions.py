"""Questions of ten thousand characters, and the tools that time them."""

import json
import random
from contextlib import closing
from pathlib import Path

import pytest

from service_kit.passages import Passage, open_reader, open_writer
from service_kit.passages.weights import MAX_TERMS, weigh
from service_kit.settings import load_settings
from tools import bench_search
from tools.search_bench import growth
from tools.search_bench.corpus import passages, questions
from tools.search_bench.plot import plot
from tools.search_bench.served import long_question_milliseconds

CHARACTERS = "".join(map(chr, range(0x4E00, 0x4E00 + 800)))


@pytest.fixture
def made_up() -> list[Passage]:
    """Passages of the same characters, each its own mixture."""
    dice = random.Random(3)
    return [Passage(f"第{n}号文件", "".join(dice.choices(CHARACTERS, k=150)) + "。") for n in range(300)]


def test_of_too_many_terms_those_in_long_runs_stay() -> None:
    quoted = [f"quoted{n}" for n in range(MAX_TERMS)]
    chance = [term for n in range(400) for term in (f"unknown{n}", f"chance{n}")]
    frequency = dict.fromkeys(quoted, 50) | {f"chance{n}": 1 for n in range(400)}
    weighed = weigh([*chance, "unknown", *quoted], 1000, lambda term: frequency.get(term, 0))
    assert {term.term for term in weighed if term.frequency} == set(quoted)


def test_whatever_a_quotation_stands_in_it_is_found(tmp_path: Path, made_up: list[Passage]) -> None:
    settings = load_settings(data=tmp_path)
    with closing(open_writer(settings)) as writer:
        writer.upsert(made_up)
        writer.commit()
    asked = list(bench_search.long_questions(made_up))
    assert {len(question) for question, _ in asked} == {bench_search.LONG + 2}
    with closing(open_reader(settings)) as reader:
        times, right = long_question_milliseconds(reader, asked)
    assert right == len(times) == 30


@pytest.fixture
def bench(tmp_path: Path, made_up: list[Passage]) -> Path:
    """A small copy of the benches' files."""
    directory = tmp_path / "bench"
    directory.mkdir()
    lines = [json.dumps({"id": one.id, "title": one.title, "text": one.text}) for one in made_up]
    asked = [json.dumps({"query": one.text[20:40], "gold": [one.id]}) for one in made_up]
    for stored, queries in (("a.jsonl", "a.q.jsonl"), ("b.jsonl", "b.q.jsonl")):
        half = slice(0, 150) if stored == "a.jsonl" else slice(150, 300)
        (directory / stored).write_text("\n".join(lines[half]))
        (directory / queries).write_text("\n".join(asked[half]))
    return directory


@pytest.fixture(autouse=True)
def small_sets(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.search_bench.corpus.SETS", (("a.jsonl", "a.q.jsonl"), ("b.jsonl", "b.q.jsonl")))


def test_the_corpus_is_always_the_same_and_holds_the_real_ones(bench: Path, made_up: list[Passage]) -> None:
    first, second = (list(passages(bench, 400)) for _ in range(2))
    assert first == second
    assert len({passage.id for passage in first}) == 400
    assert {one.id for one in made_up} <= {one.id for one in first}
    assert len(list(passages(bench, 7))) == 7
    assert len(set(questions(bench, 40))) == 40


@pytest.mark.slow
def test_bench_search(tmp_path: Path, bench: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(bench_search, "PASSAGES", 400)
    figures = tmp_path / "figures.json"
    bench_search.main([str(bench), "--searches", "40", "--json", str(figures)])
    shown = json.loads(figures.read_text())
    assert shown["searches"] == 40
    assert len(shown["bars"]) == 5
    assert shown["direct_ms"]["p50"] > 0


def test_growth_is_timed_and_drawn(tmp_path: Path, bench: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(growth, "SIZES", (300, 600))
    kept = growth.build(bench, tmp_path / "kept", 600)
    before = [(one / "index" / "meta.json").stat().st_mtime_ns for one in kept]
    assert growth.build(bench, tmp_path / "kept", 600) == kept
    assert [(one / "index" / "meta.json").stat().st_mtime_ns for one in kept] == before
    timed = [growth.time_searches(bench, directory, 20) for directory in kept]
    assert [one.passages for one in timed] == [300, 600]
    assert all(one.p99 >= one.p50 > 0 < one.disk for one in timed)
    plot(timed, tmp_path / "growth.png")
    assert (tmp_path / "growth.png").stat().st_size > 1000
