"""The tools around retrieval with vectors: es_index --vectors, evaluation, tuning, explaining, kills."""

import json
import os
import signal
import subprocess
import sys
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

import pytest

from es_index.__main__ import main as es_index
from es_search.app import create_app
from service_kit.dense.engines import open_vectors
from service_kit.dense.windows import windows
from service_kit.errors import DependencyDown
from service_kit.passages import Passage, open_reader, open_writer
from service_kit.settings import load_settings
from tests.elasticsearch_fixtures import elastic_settings, remove_indices
from tests.servers import served, wait_until
from tools import ask_why, bench_vectors, drill_vectors, evaluate_retrieval, tune_fusion
from tools.tune_fusion import judge

ARTICLES = {
    "劳动法": "用人单位拖欠劳动报酬的，应当支付经济补偿。",
    "道路交通安全法": "机动车行经人行横道时，应当减速行驶。",
    "婚姻法": "夫妻双方自愿解除婚姻关系的，应当亲自到婚姻登记机关申请。",
    "食品安全法": "食品生产者不得使用过期的原料。",
}
QUESTIONS = {"公司不给我发工钱": "劳动法", "开车遇到斑马线": "道路交通安全法", "我想离婚去哪里办": "婚姻法"}


@pytest.fixture
def bench(tmp_path: Path) -> tuple[Path, Path]:
    passages, questions = tmp_path / "p.jsonl", tmp_path / "q.jsonl"
    passages.write_text(
        "\n".join(json.dumps({"id": title, "title": title, "text": text}) for title, text in ARTICLES.items())
    )
    questions.write_text("\n".join(json.dumps({"query": query, "gold": [gold]}) for query, gold in QUESTIONS.items()))
    return passages, questions


def test_evaluation_with_the_bundled_model(
    bench: tuple[Path, Path], tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    figures, cache = tmp_path / "f.json", tmp_path / "cache.sqlite"
    arguments = [*map(str, bench), "--embedder", "e5", "--cache", str(cache), "--json", str(figures)]
    assert evaluate_retrieval.main(arguments) == 0
    first = json.loads(figures.read_text())
    assert first["R@1"] == 1.0 > first["words"]["R@1"]
    assert first["gain"]["R@1"][0] <= first["R@1"] - first["words"]["R@1"] <= first["gain"]["R@1"][1]
    assert "now" in capsys.readouterr().out
    size = cache.stat().st_size
    assert evaluate_retrieval.main([*map(str, bench), *arguments, "--fusion", "rrf"]) == 0
    assert cache.stat().st_size == size
    assert json.loads(figures.read_text())["fusion"] == "rrf"


def test_vectors_in_the_foreground(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("YIJU_DATA", str(tmp_path / "data"))
    monkeypatch.setenv("YIJU_LANG", "en")
    folder = tmp_path / "passages"
    folder.mkdir()
    for title, text in ARTICLES.items():
        (folder / f"{title}.txt").write_text(f"{title}\n{text}\n", "utf-8")
    assert es_index([str(folder), "--vectors"]) == 2  # no embedder is set, but words are indexed
    assert "YIJU_EMBEDDER" in capsys.readouterr().err
    monkeypatch.setenv("YIJU_EMBEDDER", "e5")
    assert es_index([str(folder), "--vectors"]) == 0
    assert "4 passages have vectors (4 windows" in capsys.readouterr().out

    monkeypatch.setenv("YIJU_EMBEDDER", "openai")
    monkeypatch.setenv("YIJU_EMBED_URL", "http://127.0.0.1:9/v1")
    monkeypatch.setenv("YIJU_EMBED_MODEL", "another")
    assert es_index([str(folder), "--vectors"]) == 2
    assert "--drop-vectors" in capsys.readouterr().err
    assert es_index([str(folder), "--drop-vectors"]) == 0
    assert "4 passages are gone" in capsys.readouterr().out


def test_ask_why(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    settings = load_settings(data=tmp_path, embedder="none")
    with closing(open_writer(settings)) as writer:
        writer.upsert(Passage(title, text) for title, text in ARTICLES.items())
        writer.commit()
    monkeypatch.setenv("YIJU_LANG", "en")
    with served(create_app(settings)) as url:
        assert ask_why.main(["机动车减速行驶", "--url", url]) == 0
    shown = capsys.readouterr().out
    assert "Searched: lexical" in shown
    assert "道路交通安全法" in shown
    assert "减速" in shown


def test_tuning_refuses_small_sets(
    bench: tuple[Path, Path], monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("YIJU_EMBEDDER", "e5")
    monkeypatch.setenv("YIJU_LANG", "en")
    passages, questions = bench
    assert tune_fusion.main([str(questions), "--passages", str(passages)]) == 1
    shown = capsys.readouterr().out
    assert "too few to choose by" in shown
    assert "Recommended" not in shown


def test_tuning_chooses_what_holds_on_questions_that_had_no_say() -> None:
    better: dict[float, list[int | None]] = {1.0: [2] * 100, 3.0: [*[1] * 90, *[3] * 10], 5.0: [2] * 100}
    figures = judge(better, used=1.0)
    assert figures["best"] == 3.0
    assert figures["interval"][0] > 0
    assert figures["telling"] == 100
    assert figures["cross_validated"] == pytest.approx({"R@2": 0.9, "R@10": 1.0, "MRR@10": 0.9 + 0.1 / 3})
    same: dict[float, list[int | None]] = {1.0: [1, 2] * 50, 3.0: [2, 1] * 50, 5.0: [1, None] * 50}
    figures = judge(same, used=1.0)
    assert figures["interval"][0] <= 0
    assert figures["telling"] == 100


_FILL = """
from contextlib import closing
from service_kit.dense import embedded_vectors
from service_kit.dense.engines import open_vectors
from service_kit.dense.filling import fill
from service_kit.passages import open_reader
from service_kit.settings import load_settings
from tests.dense_fixtures import BigramEmbedder

embedded_vectors.TAIL = 64  # the approximate index is written often
with closing(open_vectors(load_settings())) as vectors, vectors.filling(wait=True):
    fill(open_reader(load_settings()), BigramEmbedder(), vectors)
"""


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["embedded", "elasticsearch"])
def test_kill_while_vectors_are_made(engine: str, tmp_path: Path, request: pytest.FixtureRequest) -> None:
    """kill -9 at three moments of the work; nothing is lost, nothing is there twice."""
    settings = load_settings(data=tmp_path)
    if engine == "elasticsearch":
        settings = elastic_settings(request.getfixturevalue("elasticsearch_url"), data=tmp_path, es_analysis="client")
        request.addfinalizer(lambda: remove_indices(settings))
    texts = [f"第{n}条 本条说的是第{n}件事情。" * 12 for n in range(400)]
    with closing(open_writer(settings)) as writer:
        writer.upsert(Passage(f"办法{n}", text) for n, text in enumerate(texts))
        writer.commit()
    names = ("data", "search", "es_urls", "es_index", "es_analysis")
    env = {f"YIJU_{name.upper()}": str(getattr(settings, name)) for name in names}

    def begin() -> "subprocess.Popen[bytes]":
        return subprocess.Popen([sys.executable, "-c", _FILL], env=os.environ | env)

    with closing(open_vectors(settings)) as vectors:

        def made() -> int:
            with suppress(DependencyDown):  # Elasticsearch shows an index before its shard has started
                return vectors.count()[0]
            return 0

        for part in (0.1, 0.4, 0.8):
            process = begin()
            try:
                wait_until(
                    lambda part=part, process=process: (  # type: ignore[misc]
                        made() >= part * len(texts) or process.poll() is not None
                    ),
                    "some vectors",
                    60,
                )
                assert process.poll() is None
            finally:
                process.send_signal(signal.SIGKILL)
                process.wait()
        assert vectors.count()[0] < len(texts)
        assert begin().wait(60) == 0
        with closing(open_reader(settings)) as reader:
            passages = reader.fetch(sorted(reader.ids()))
        assert vectors.passages() == {one.id for one in passages}
        assert vectors.count() == (len(texts), sum(len(windows(one.title, one.text)) for one in passages))


@pytest.mark.slow
@pytest.mark.parametrize("engine", ["embedded", "elasticsearch"])
def test_drill(
    engine: str,
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
    request: pytest.FixtureRequest,
) -> None:
    monkeypatch.setenv("YIJU_SEARCH", engine)
    if engine == "elasticsearch":
        monkeypatch.setenv("YIJU_ES_URLS", request.getfixturevalue("elasticsearch_url"))
        monkeypatch.setenv("YIJU_ES_ANALYSIS", "client")
    file = tmp_path / "drill.json"
    arguments = ["--passages", "200", "--kills", "1", "--between-kills", "20", "--searches", "5"]
    arguments += ["--delay-ms", "20", "--json", str(file)]
    assert drill_vectors.main(arguments) == 0
    figures: dict[str, Any] = json.loads(file.read_text())
    assert figures["windows"] >= figures["passages"] == 200
    assert figures["missing"] == figures["doubled"] == figures["unknown"] == 0
    assert json.loads(capsys.readouterr().out) == figures


def test_the_drill_ends_when_what_it_waits_for_does_not_come() -> None:
    with pytest.raises(TimeoutError):
        drill_vectors._until(lambda: False, 0.0)


def test_bench_vectors(tmp_path: Path) -> None:
    file = tmp_path / "bench.json"
    assert bench_vectors.main(["--passages", "300", "--questions", "5", "--json", str(file)]) == 0
    figures = json.loads(file.read_text())
    assert figures["recall"] > 0.9
    assert 0 < figures["words_ms"]["p50"] <= figures["both_ms"]["p99"]


def test_bench_vectors_with_a_real_set(bench: tuple[Path, Path], tmp_path: Path) -> None:
    cache, file = tmp_path / "cache.sqlite", tmp_path / "bench.json"
    assert evaluate_retrieval.main([*map(str, bench), "--embedder", "e5", "--cache", str(cache)]) == 0
    with bench[0].open("a") as passages:
        passages.write("\n" + json.dumps({"id": "new", "title": "新法", "text": "缓存里没有的段落。"}))
    assert bench_vectors.main(["--set", *map(str, bench), "--cache", str(cache), "--json", str(file)]) == 0
    figures = json.loads(file.read_text())
    assert figures["passages"] == figures["windows"] == len(ARTICLES)
    assert figures["recall"] == 1.0
