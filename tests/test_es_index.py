"""What es_index does to the index: each kind of change, and what it reports."""

import os
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path

import pytest
import tantivy

from es_index.plan import plan
from es_index.report import Report
from es_index.run import index_directory
from es_index.status import status
from service_kit.errors import IndexingError
from service_kit.passages import Passage
from service_kit.passages.embedded_writer import EmbeddedWriter
from service_kit.settings import Settings, load_settings


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(data=tmp_path / "data")


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    """A directory with two passages."""
    directory = tmp_path / "texts"
    write(directory, {"a.txt": "甲题\n甲文", "sub/b.TXT": "乙题\n乙文"})
    return directory


def write(directory: Path, files: Mapping[str, str | bytes]) -> None:
    for name, content in files.items():
        path = directory / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(content if isinstance(content, bytes) else content.encode())


def indexed(settings: Settings) -> dict[str, str | None]:
    """Text -> file of all passages in the index; a passage that is there twice is a fault."""
    searcher = tantivy.Index.open(str(settings.data / "index")).searcher()
    hits = searcher.search(tantivy.Query.all_query(), 10_000).hits
    passages = [Passage.from_json(searcher.doc(at)["passage"][0]) for _, at in hits]
    assert len({passage.id for passage in passages}) == len(passages)
    return {passage.text: passage.file for passage in passages}


def counts(report: Report) -> tuple[int, int, int, int, int]:
    """New, changed, unchanged, removed, failed."""
    return len(report.new), len(report.changed), report.unchanged, len(report.removed), len(report.failed)


def commits(settings: Settings) -> tuple[int, int]:
    facts = (settings.data / "index" / "meta.json").stat()
    return facts.st_ino, facts.st_mtime_ns


def test_first_run(settings: Settings, texts: Path) -> None:
    write(texts, {"c.md": "no\ntext file", ".hidden.txt": "x\ny", ".git/d.txt": "x\ny"})
    report = index_directory(settings, str(texts))
    assert counts(report) == (2, 0, 0, 0, 0)
    assert report.passages == 2
    assert indexed(settings) == {"甲文": "a.txt", "乙文": "sub/b.TXT"}


def test_second_run_changes_nothing(settings: Settings, texts: Path) -> None:
    index_directory(settings, str(texts))
    before = commits(settings)
    report = index_directory(settings, str(texts))
    assert counts(report) == (0, 0, 2, 0, 0)
    assert not report.begun_anew
    assert commits(settings) == before


@pytest.mark.parametrize("content", ["甲题\n新文", "甲题\nissuer: 财政部\n\n甲文"])
def test_changed_text_or_metadata_replaces(settings: Settings, texts: Path, content: str) -> None:
    index_directory(settings, str(texts))
    write(texts, {"a.txt": content})
    assert counts(index_directory(settings, str(texts))) == (0, 1, 1, 0, 0)
    assert indexed(settings) == {content.rsplit("\n", maxsplit=1)[-1]: "a.txt", "乙文": "sub/b.TXT"}


def test_other_encoding_of_the_same_text_is_unchanged(settings: Settings, texts: Path) -> None:
    index_directory(settings, str(texts))
    write(texts, {"a.txt": "甲题\r\n甲文\r\n".encode("utf-16")})
    assert counts(index_directory(settings, str(texts))) == (0, 0, 2, 0, 0)


def test_removed_file_leaves_the_index(settings: Settings, texts: Path) -> None:
    index_directory(settings, str(texts))
    (texts / "a.txt").unlink()
    report = index_directory(settings, str(texts))
    assert report.removed == ["a.txt"]
    assert indexed(settings) == {"乙文": "sub/b.TXT"}


def test_renamed_file_keeps_its_passage_under_the_new_name(settings: Settings, texts: Path) -> None:
    index_directory(settings, str(texts))
    (texts / "a.txt").rename(texts / "z.txt")
    assert counts(index_directory(settings, str(texts))) == (1, 0, 1, 1, 0)
    assert indexed(settings) == {"甲文": "z.txt", "乙文": "sub/b.TXT"}


def test_equal_files_share_one_passage_until_the_last_is_gone(settings: Settings, texts: Path) -> None:
    write(texts, {"copy.txt": "甲题\n甲文"})
    assert counts(index_directory(settings, str(texts))) == (3, 0, 0, 0, 0)
    assert indexed(settings)["甲文"] == "a.txt"
    (texts / "a.txt").unlink()
    index_directory(settings, str(texts))
    assert indexed(settings)["甲文"] == "copy.txt"
    (texts / "copy.txt").unlink()
    index_directory(settings, str(texts))
    assert "甲文" not in indexed(settings)


def test_an_earlier_copy_gives_its_name_as_in_a_clean_run(settings: Settings, texts: Path) -> None:
    index_directory(settings, str(texts))
    write(texts, {"0.txt": "甲题\n甲文"})
    index_directory(settings, str(texts))
    assert indexed(settings)["甲文"] == "0.txt"


def test_two_files_that_swap_their_texts(settings: Settings, texts: Path) -> None:
    index_directory(settings, str(texts))
    write(texts, {"a.txt": "乙题\n乙文", "sub/b.TXT": "甲题\n甲文"})
    assert counts(index_directory(settings, str(texts))) == (0, 2, 0, 0, 0)
    assert indexed(settings) == {"乙文": "a.txt", "甲文": "sub/b.TXT"}


def test_a_file_that_fails_is_named_and_keeps_what_was_indexed(settings: Settings, texts: Path) -> None:
    index_directory(settings, str(texts))
    write(texts, {"a.txt": b"\x89PNG\0\0\0\r", "empty.txt": b""})
    report = index_directory(settings, str(texts))
    assert [failure.file for failure in report.failed] == ["a.txt", "empty.txt"]
    assert all(failure.reason.zh and failure.reason.en for failure in report.failed)
    assert indexed(settings) == {"甲文": "a.txt", "乙文": "sub/b.TXT"}


def test_pipes_and_broken_links_fail_without_waiting(settings: Settings, texts: Path) -> None:
    os.mkfifo(texts / "pipe.txt")
    (texts / "link.txt").symlink_to("nowhere.txt")
    (texts / "loop").symlink_to(".")
    assert counts(index_directory(settings, str(texts))) == (2, 0, 0, 0, 2)


def test_file_names_in_gbk(settings: Settings, texts: Path) -> None:
    (texts / os.fsdecode("专项债.txt".encode("gbk"))).write_bytes("丙题\n丙文".encode("gbk"))
    index_directory(settings, str(texts))
    assert indexed(settings)["丙文"] == "专项债.txt"
    assert counts(index_directory(settings, str(texts))) == (0, 0, 3, 0, 0)


def test_unlistable_directory_takes_nothing_out(
    settings: Settings, texts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write(texts, {"c.txt": "丙题\n丙文"})
    index_directory(settings, str(texts))
    (texts / "a.txt").unlink()
    scandir = os.scandir

    def refuse_sub(path: str) -> object:
        if Path(path).name == "sub":
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", refuse_sub)
    report = index_directory(settings, str(texts))
    assert [failure.file for failure in report.failed] == ["sub"]
    assert not report.whole
    assert set(indexed(settings)) == {"甲文", "乙文", "丙文"}
    monkeypatch.undo()
    assert index_directory(settings, str(texts)).removed == ["a.txt"]
    assert set(indexed(settings)) == {"乙文", "丙文"}


def test_a_file_that_can_not_be_opened_may_be_the_renamed_one(
    settings: Settings, texts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    index_directory(settings, str(texts))
    (texts / "a.txt").rename(texts / "c.txt")
    really = os.open

    def broken_disk(path: str, flags: int, mode: int = 0o777, *, dir_fd: int | None = None) -> int:
        if Path(path).name == "c.txt":
            raise OSError(5, "Input/output error", path)
        return really(path, flags, mode, dir_fd=dir_fd)

    monkeypatch.setattr(os, "open", broken_disk)
    report = index_directory(settings, str(texts))
    assert ([failure.file for failure in report.failed], report.removed, report.whole) == (["c.txt"], [], False)
    assert set(indexed(settings)) == {"甲文", "乙文"}
    monkeypatch.undo()
    assert index_directory(settings, str(texts)).removed == ["a.txt"]
    assert indexed(settings)["甲文"] == "c.txt"


def test_directories_do_not_disturb_each_other(settings: Settings, texts: Path, tmp_path: Path) -> None:
    write(tmp_path / "other", {"a.txt": "甲题\n甲文", "d.txt": "丁题\n丁文"})
    index_directory(settings, str(texts))
    assert index_directory(settings, str(tmp_path / "other")).passages == 3
    (texts / "a.txt").unlink()
    index_directory(settings, str(texts))
    assert set(indexed(settings)) == {"甲文", "乙文", "丁文"}


def test_suddenly_empty_directory_is_refused(settings: Settings, texts: Path) -> None:
    index_directory(settings, str(texts))
    (texts / "a.txt").unlink()
    (texts / "sub" / "b.TXT").unlink()
    with pytest.raises(IndexingError, match="--allow-empty"):
        index_directory(settings, str(texts))
    assert len(indexed(settings)) == 2
    assert counts(index_directory(settings, str(texts), allow_empty=True)) == (0, 0, 0, 2, 0)
    assert indexed(settings) == {}


def test_directory_that_is_gone_can_be_forgotten(settings: Settings, texts: Path) -> None:
    index_directory(settings, str(texts))
    texts.rename(texts.with_name("moved"))
    with pytest.raises(IndexingError, match="--allow-empty"):
        index_directory(settings, str(texts))
    index_directory(settings, str(texts.with_name("moved")))
    assert counts(index_directory(settings, str(texts), allow_empty=True)) == (0, 0, 0, 2, 0)
    assert set(indexed(settings)) == {"甲文", "乙文"}


@pytest.mark.parametrize("allow_empty", [False, True])
def test_directory_that_never_was_is_refused(settings: Settings, tmp_path: Path, allow_empty: bool) -> None:
    with pytest.raises(IndexingError, match="No directory"):
        index_directory(settings, str(tmp_path / "nowhere"), allow_empty=allow_empty)
    assert not (settings.data / "index").exists()


def test_lost_index_is_made_good(settings: Settings, texts: Path, tmp_path: Path) -> None:
    write(tmp_path / "other", {"d.txt": "丁题\n丁文"})
    index_directory(settings, str(tmp_path / "other"))
    index_directory(settings, str(texts))
    (settings.data / "index").rename(tmp_path / "lost")
    (texts / "a.txt").unlink()
    report = index_directory(settings, str(texts))
    assert report.begun_anew
    assert report.forgotten == [str(tmp_path / "other")]
    assert indexed(settings) == {"乙文": "sub/b.TXT"}


@pytest.mark.parametrize("damage", ["gone", "garbage"])
def test_index_without_its_manifest_is_emptied_only_when_told(settings: Settings, texts: Path, damage: str) -> None:
    index_directory(settings, str(texts))
    manifest = settings.data / "manifest.sqlite"
    manifest.unlink()
    if damage == "garbage":
        manifest.write_bytes(b"garbage" * 1000)
    (texts / "a.txt").unlink()
    for _ in range(2):
        with pytest.raises(IndexingError, match=r"holds 2 passages.*--begin-anew"):
            index_directory(settings, str(texts))
        with pytest.raises(IndexingError, match="holds 2 passages"):
            plan(settings, str(texts))
        manifest.unlink()
    assert status(settings)["known_passages"] is None
    assert set(indexed(settings)) == {"甲文", "乙文"}
    assert plan(settings, str(texts), begin_anew=True).passages == 1
    assert index_directory(settings, str(texts), begin_anew=True).begun_anew
    assert set(indexed(settings)) == {"乙文"}
    assert not index_directory(settings, str(texts), begin_anew=True).begun_anew


def test_dry_run_says_what_a_run_then_does(settings: Settings, texts: Path, tmp_path: Path) -> None:
    def agree() -> Report:
        before = sorted(settings.data.rglob("*")), commits(settings) if settings.data.exists() else None
        planned = plan(settings, str(texts))
        assert before == (sorted(settings.data.rglob("*")), commits(settings) if settings.data.exists() else None)
        done = index_directory(settings, str(texts))
        assert planned.to_json() == done.to_json()
        return done

    assert agree().begun_anew
    write(tmp_path / "other", {"d.txt": "丁题\n丁文", "e.txt": "甲题\n甲文"})
    index_directory(settings, str(tmp_path / "other"))
    write(texts, {"a.txt": "甲题\n改文", "new.txt": "新题\n新文", "same.txt": "新题\n新文", "bad.txt": b"\0\1"})
    (texts / "sub/b.TXT").unlink()
    assert counts(agree()) == (2, 1, 0, 1, 1)
    assert counts(agree()) == (0, 0, 3, 0, 1)
    with pytest.raises(IndexingError, match="No directory"):
        plan(settings, str(tmp_path / "nowhere"))


def test_status(settings: Settings, texts: Path) -> None:
    assert status(settings)["trouble"]["en"].startswith("There is no index yet")
    index_directory(settings, str(texts))
    assert status(settings) == {
        "engine": "embedded",
        "passages": 2,
        "trouble": None,
        "known_passages": 2,
        "directories": {str(texts): 2},
        "unsettled": 0,
    }


def test_untouched_files_are_not_read(settings: Settings, texts: Path) -> None:
    first = index_directory(settings, str(texts))
    write(texts, {"a.txt": "甲题\n改文", "new.txt": "新题\n新文"})
    untouched = ["a.txt", "new.txt", "gone.txt"]
    report = index_directory(settings, str(texts), untouched=untouched, untouched_in=first.index_id)
    assert counts(report) == (1, 0, 2, 0, 0)
    assert set(indexed(settings)) == {"甲文", "乙文", "新文"}
    # Of another index nothing is known.
    report = index_directory(settings, str(texts), untouched=untouched, untouched_in="another")
    assert counts(report) == (0, 1, 2, 0, 0)


def test_the_engine_is_told_of_the_commit_before_all_is_read(
    settings: Settings, texts: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    read = 0
    told: list[int] = []

    def progress(files: Iterable[str]) -> Iterator[str]:
        nonlocal read
        for file in files:
            read += 1
            yield file

    monkeypatch.setattr(EmbeddedWriter, "begin_commit", lambda writer: told.append(read))
    write(texts, {f"{n:03}.txt": f"题{n}\n文{n}" for n in range(98)})
    report = index_directory(settings, str(texts), progress=progress)
    assert told == [81, 100]
    assert counts(report) == (100, 0, 0, 0, 0)
    assert len(indexed(settings)) == 100
