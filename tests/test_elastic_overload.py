"""Indexing into a real Elasticsearch that is overloaded at times: nothing is lost, nothing is there twice."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path

import pytest

from es_index.__main__ import main
from es_index.run import index_directory
from service_kit.errors import DependencyDown
from service_kit.passages import open_reader
from service_kit.passages.manifest import Manifest
from service_kit.settings import Settings
from tests.elasticsearch_fixtures import elastic_settings, remove_indices
from tests.faulty_proxy import faulty_proxy

FILES = 60


@pytest.fixture
def settings(elasticsearch_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Chunks of a few passages, short pauses."""
    monkeypatch.setattr("service_kit.passages.elastic_bulk.CHUNK_BYTES", 2500)
    monkeypatch.setattr("service_kit.passages.elastic_bulk.FIRST_PAUSE_S", 0.001)
    settings = elastic_settings(elasticsearch_url, es_analysis="client", data=tmp_path / "data")
    yield settings
    remove_indices(settings)


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    directory = tmp_path / "texts"
    directory.mkdir()
    for number in range(FILES):
        (directory / f"{number:03}.txt").write_text(f"题{number}\n文{number}", encoding="utf-8")
    return directory


def stored(settings: Settings) -> list[str]:
    """The files of all passages in the index."""
    with closing(open_reader(settings)) as reader:
        ids = reader.ids()
        assert reader.count() == len(ids)
        return sorted(str(passage.file) for passage in reader.fetch(sorted(ids)))


# Of a prime number of bulks: whichever turns the three senders take, none meets with faults alone.
@pytest.mark.parametrize(
    "faults",
    [
        ("429", None, "429", None, None),
        ("503", None, "429", "503", None),
        ("lost", None, None, None, "lost"),
        ("items", "items", None, None, None),
        ("items", "503", "lost", None, None, None, None),
    ],
    ids=["429", "503 and 429", "done but answered with 502", "429 of single documents", "all of them"],
)
def test_passing_overload(settings: Settings, texts: Path, faults: Sequence[str | None]) -> None:
    with faulty_proxy(settings.es_urls, lambda n: faults[n % len(faults)]) as url:
        report = index_directory(settings.model_copy(update={"es_urls": url}), str(texts))
    assert (len(report.new), report.failed) == (FILES, [])
    assert stored(settings) == [f"{number:03}.txt" for number in range(FILES)]


@pytest.mark.parametrize("kind", ["429", "503", "items"])
def test_overload_that_does_not_pass_is_said_and_made_good_by_the_next_run(
    settings: Settings, texts: Path, kind: str
) -> None:
    with (
        faulty_proxy(settings.es_urls, lambda n: kind if n > 2 else None) as url,
        pytest.raises(DependencyDown, match=r"Elasticsearch .*(429|503).*rejected execution"),
    ):
        index_directory(settings.model_copy(update={"es_urls": url}), str(texts))
    with closing(Manifest(settings.data)) as manifest:
        assert len(manifest.pending(texts)) == FILES  # of all of them nobody knows
    (texts / "000.txt").unlink()  # what the broken run stored of it must not stay
    report = index_directory(settings, str(texts))
    assert report.failed == []
    assert stored(settings) == [f"{number:03}.txt" for number in range(1, FILES)]


def test_exit_code(
    settings: Settings, texts: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for name in ("search", "es_index", "es_analysis", "data"):
        monkeypatch.setenv(f"YIJU_{name.upper()}", str(getattr(settings, name)))
    with faulty_proxy(settings.es_urls, lambda _: "429") as url:
        monkeypatch.setenv("YIJU_ES_URLS", url)
        assert main([str(texts)]) == 2
    assert "429" in capsys.readouterr().err
