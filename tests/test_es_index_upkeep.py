"""Rebuild, rollback, prune: on a real Elasticsearch; what the embedded engine says instead."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from es_index.__main__ import main
from es_index.plan import plan
from es_index.rebuild import rebuild
from es_index.run import index_directory
from es_index.status import status
from es_index.upkeep import drop_old, prune, rollback
from service_kit.errors import DependencyDown, IndexingError, UnreachableFile
from service_kit.passages import Passage, open_reader, open_writer
from service_kit.passages.elastic_connection import connect
from service_kit.passages.elastic_indices import Indices, open_indices
from service_kit.passages.elastic_mapping import AT_REST
from service_kit.passages.manifest import Manifest
from service_kit.settings import Settings, load_settings
from tests.elasticsearch_fixtures import elastic_settings, remove_indices
from tools.drill_swap import drill

ROOT = Path(__file__).parent.parent
STRAY = Passage("多余", "谁也不知道的段落。")


@pytest.fixture
def settings(elasticsearch_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    settings = elastic_settings(elasticsearch_url, data=tmp_path / "data")
    for name in ("search", "es_urls", "es_index"):
        monkeypatch.setenv(f"YIJU_{name.upper()}", str(getattr(settings, name)))
    monkeypatch.setenv("YIJU_DATA", str(settings.data))
    monkeypatch.setenv("YIJU_LANG", "en")
    yield settings
    remove_indices(settings)


@pytest.fixture
def indices(settings: Settings) -> Iterator[Indices]:
    with open_indices(settings) as indices:
        yield indices


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    return folder(tmp_path / "texts", "甲", "乙", "丙")


def folder(directory: Path, *names: str) -> Path:
    directory.mkdir()
    for name in names:
        (directory / f"{name}.txt").write_text(f"{name}题\n{name}项债务应当偿还。", "utf-8")
    return directory


def titles(settings: Settings) -> list[str]:
    with closing(open_reader(settings)) as reader:
        return sorted(passage.title for passage in reader.fetch(sorted(reader.ids())))


def serving(indices: Indices) -> str:
    one = indices.serving()
    assert one is not None
    return one.name


def agrees(settings: Settings) -> bool:
    """Whether the manifest is that of the index that is searched, and of all that it holds."""
    shown = status(settings)
    return shown["passages"] == shown["known_passages"] and not shown["unsettled"]


def test_rebuild_covers_all_directories_and_rollback_goes_back(
    settings: Settings, indices: Indices, texts: Path, tmp_path: Path
) -> None:
    other = folder(tmp_path / "other", "丁")
    index_directory(settings, str(other))
    index_directory(settings, str(texts))
    old = serving(indices)
    (texts / "甲.txt").write_text("新题\n新的债务应当偿还。", "utf-8")
    (texts / "乙.txt").write_bytes(b"\x89PNG\0\0")  # can not be read now: keeps its passage
    reports = rebuild(settings, None)
    assert {one.directory for one in reports} == {str(texts), str(other)}
    assert [failure.file for one in reports for failure in one.failed] == ["乙.txt"]
    assert titles(settings) == ["丁题", "丙题", "乙题", "新题"]
    assert serving(indices) != old
    assert agrees(settings)
    assert [(one["serving"], one["unfinished"]) for one in status(settings)["indices"]] == [(False, 0), (True, 0)]

    done = rollback(settings)
    assert done.facts["index"] == serving(indices) == old
    assert titles(settings) == ["丁题", "丙题", "乙题", "甲题"]
    assert agrees(settings)
    with pytest.raises(IndexingError, match="no index to go back to"):
        rollback(settings)
    # The next run finds what the files have changed since, as the dry run says.
    planned = plan(settings, str(texts))
    report = index_directory(settings, str(texts))
    assert planned.to_json() == report.to_json()
    assert report.changed == ["甲.txt"]
    assert not report.begun_anew
    assert titles(settings) == ["丁题", "丙题", "乙题", "新题"]
    assert agrees(settings)


def test_rollback_after_rollback_and_rebuild_goes_to_what_was_searched_before(
    settings: Settings, indices: Indices, texts: Path
) -> None:
    index_directory(settings, str(texts))
    good = serving(indices)
    rebuild(settings, None)
    rollback(settings)
    rebuild(settings, None)
    assert len(indices.all()) == 3
    assert rollback(settings).facts["index"] == good
    assert len(drop_old(settings, yes=False).facts["indices"]) == 2
    assert len(indices.all()) == 3
    drop_old(settings, yes=True)
    assert serving(indices) == good
    assert len(indices.all()) == 1
    assert sorted(path.name for path in settings.data.glob("manifest*")) == ["manifest.sqlite"]
    assert index_directory(settings, str(texts)).unchanged == 3


def test_a_rebuild_without_a_manifest_begins_with_the_directory(settings: Settings, texts: Path) -> None:
    index_directory(settings, str(texts))
    (settings.data / "manifest.sqlite").unlink()
    with pytest.raises(IndexingError, match="manifest"):
        prune(settings, yes=True)
    rebuild(settings, str(texts))
    assert len(titles(settings)) == 3
    assert agrees(settings)


def test_searches_go_on_while_indices_are_swapped(settings: Settings, texts: Path) -> None:
    (texts / "文号.txt").write_text("文号题\ndoc_no: 财预〔2016〕155号\n\n应当公开。", "utf-8")
    index_directory(settings, str(texts))
    count = drill(settings, texts, ["甲项债务应当偿还", "财预2016 155号", "乙题"], seconds=4.0)
    assert count.swaps >= 2
    assert count.searches > 20
    assert (count.errors, count.empty) == (0, 0), count.first_error


@pytest.mark.parametrize("broken", ["commit", "publish"])
def test_a_failed_rebuild_leaves_everything_as_it_was(
    settings: Settings, indices: Indices, texts: Path, monkeypatch: pytest.MonkeyPatch, broken: str
) -> None:
    index_directory(settings, str(texts))
    old = serving(indices)
    files = sorted(path.name for path in settings.data.iterdir())

    def fail(self: object) -> None:
        raise DependencyDown("断了", "broken")

    monkeypatch.setattr(f"service_kit.passages.elastic_writer.ElasticRebuild.{broken}", fail)
    with pytest.raises(DependencyDown, match="broken"):
        rebuild(settings, None)
    monkeypatch.undo()
    assert [one.name for one in indices.all()] == [old]
    assert sorted(path.name for path in settings.data.iterdir()) == files
    with closing(connect(settings)) as client:
        shown = client.indices.get_settings(index=old, flat_settings=True)[old]["settings"]
    assert {name: shown[f"index.{name}"] for name in AT_REST} == AT_REST
    assert agrees(settings)


def test_a_rebuild_whose_last_answer_was_lost_counts(
    settings: Settings, indices: Indices, texts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index_directory(settings, str(texts))
    old = serving(indices)
    really = Indices.swap

    def swap_and_lose(self: Indices, name: str) -> None:
        really(self, name)
        raise DependencyDown("断了", "broken")

    monkeypatch.setattr(Indices, "swap", swap_and_lose)
    with pytest.raises(DependencyDown):
        rebuild(settings, None)
    monkeypatch.undo()
    assert serving(indices) != old
    assert index_directory(settings, str(texts)).unchanged == 3
    assert agrees(settings)


def test_a_server_that_refuses_everything_gets_no_searches(
    settings: Settings, indices: Indices, texts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index_directory(settings, str(texts))
    really = Indices.create

    def create_blocked(self: Indices, index_id: str, **options: bool) -> str:
        name = really(self, index_id, **options)
        with closing(connect(settings)) as client:
            client.indices.put_settings(index=name, settings={"index.blocks.write": True})
        return name

    monkeypatch.setattr(Indices, "create", create_blocked)
    with pytest.raises(IndexingError, match=r"lacks the passages of 3 files.*block"):
        rebuild(settings, None)
    monkeypatch.undo()
    assert len(indices.all()) == 1
    assert len(titles(settings)) == 3


def test_a_directory_that_is_not_seen_whole_is_not_rebuilt(
    settings: Settings, indices: Indices, texts: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index_directory(settings, str(texts))

    def broken_disk(directory: Path, file: Path) -> Passage:
        raise UnreachableFile("读不了", "Input/output error")

    with monkeypatch.context() as patch:
        patch.setattr("es_index.run.read_passage", broken_disk)
        with pytest.raises(IndexingError, match="read whole"):
            rebuild(settings, None)
    assert len(indices.all()) == 1
    texts.rename(tmp_path / "away")
    with pytest.raises(IndexingError, match="No directory"):
        rebuild(settings, None)
    assert len(titles(settings)) == 3


_DIE_BEFORE = """
import os, signal, sys
from service_kit.passages.elastic_indices import Indices
import es_index.rebuild
def die(*args): os.kill(os.getpid(), signal.SIGKILL)
if sys.argv[1] == "swap":
    Indices.swap = die
else:
    swap = Indices.swap
    Indices.swap = lambda self, name: (swap(self, name), die())
    if sys.argv[1] == "settle":
        Indices.settle = die
from es_index.__main__ import main
main(sys.argv[2:])
"""


@pytest.mark.slow
@pytest.mark.parametrize("step", ["settle", "swap", "taking up"])
def test_a_killed_rebuild_is_made_good(settings: Settings, indices: Indices, texts: Path, step: str) -> None:
    index_directory(settings, str(texts))
    old = serving(indices)
    (texts / "丁.txt").write_text("丁题\n丁文", "utf-8")
    done = subprocess.run(
        [sys.executable, "-c", _DIE_BEFORE, step, "--rebuild"], cwd=ROOT, capture_output=True, check=False
    )
    assert done.returncode == -9, done.stderr.decode()
    assert (serving(indices) == old) == (step != "taking up")
    assert bool(indices.unfinished()) == (step == "settle")
    assert agrees(settings)
    index_directory(settings, str(texts))
    assert len(titles(settings)) == 4
    assert agrees(settings)
    rebuild(settings, None)
    assert not indices.unfinished()
    drop_old(settings, yes=True)
    assert len(indices.all()) == 1


def test_another_analysis_is_left_and_come_back_to(settings: Settings, texts: Path) -> None:
    index_directory(settings, str(texts))
    other = settings.model_copy(update={"es_analysis": "client"})
    assert index_directory(other, str(texts)).begun_anew  # searches of `ik` fail from here on
    with pytest.raises(IndexingError, match="analysis ik"):
        rollback(other)
    rollback(settings)
    assert index_directory(settings, str(texts)).unchanged == 3
    assert agrees(settings)


@pytest.fixture(params=["embedded", "elasticsearch"])
def either(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    """Settings of the one engine, then of the other."""
    if request.param == "elasticsearch":
        settings: Settings = request.getfixturevalue("settings")
        return settings
    monkeypatch.setenv("YIJU_LANG", "en")
    monkeypatch.setenv("YIJU_DATA", str(tmp_path / "data"))
    return load_settings()


def test_prune_shows_first(either: Settings, texts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    settings = either
    assert main(["--prune"]) == 2
    index_directory(settings, str(texts))
    with closing(open_writer(settings)) as writer:
        writer.upsert([STRAY])
        writer.commit()
    with closing(Manifest(settings.data)) as manifest:  # what a killed run left is no orphan
        manifest.mark_pending(texts, ["pending"])
    capsys.readouterr()
    assert main(["--prune", "--json", str(tmp_path / "facts.json")]) == 0
    shown = capsys.readouterr().out
    assert f"{STRAY.id}  ?  多余" in shown
    assert "1 passages that no manifest knows" in shown
    assert json.loads((tmp_path / "facts.json").read_text("utf-8")) == {"orphans": [STRAY.id], "removed": False}
    assert len(titles(settings)) == 4
    assert main(["--prune", "--yes"]) == 0
    assert titles(settings) == ["丙题", "乙题", "甲题"]
    capsys.readouterr()
    assert main(["--prune", "--yes"]) == 0
    assert "There is no passage" in capsys.readouterr().out


def test_the_command_line(
    settings: Settings, indices: Indices, texts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report = tmp_path / "report.json"
    assert main(["--rollback"]) == 2
    assert main([str(texts), "--rebuild", "--json", str(report)]) == 0
    assert json.loads(report.read_text("utf-8"))["reports"][0]["passages"] == 3
    assert main(["--rebuild"]) == 0
    assert "Searches go to the new index" in capsys.readouterr().out
    assert main(["--status"]) == 0
    shown = capsys.readouterr().out
    assert f"alias {settings.es_index}" in shown
    assert f"→ {serving(indices)}  3 passages" in shown
    assert main(["--rollback"]) == 0
    assert main(["--drop-old"]) == 0
    assert main(["--drop-old", "--yes"]) == 0
    assert "Removed 1 old indices" in capsys.readouterr().out
    with pytest.raises(SystemExit):
        main(["--rebuild", "--yes"])


@pytest.mark.parametrize("option", ["--rebuild", "--rollback", "--drop-old"])
def test_the_embedded_engine_has_but_one_index(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], option: str
) -> None:
    monkeypatch.setenv("YIJU_DATA", str(tmp_path / "data"))
    assert main([option]) == 2
    assert f"needs no {option}" in capsys.readouterr().err
