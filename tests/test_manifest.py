"""The record of which file holds which passage, where runs of es_index do not already test it."""

import sqlite3
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from service_kit.errors import DependencyDown
from service_kit.passages.manifest import FILE_NAME, Manifest

ROOT, FILE = Path("/documents"), "a.txt"


@pytest.fixture
def manifest(tmp_path: Path) -> Iterator[Manifest]:
    with closing(Manifest(tmp_path)) as manifest:
        manifest.mark_pending(ROOT, ["old"])
        manifest.record(ROOT, {FILE: "old"}, ["old"])
        manifest.mark_pending(ROOT, ["new"])
        yield manifest


def test_nothing_is_recorded_that_the_index_has_not_committed(manifest: Manifest, tmp_path: Path) -> None:
    def fail() -> None:
        raise DependencyDown("坏", "down")

    with pytest.raises(DependencyDown):
        manifest.record(ROOT, {FILE: "new"}, ["new"], fail)
    with closing(Manifest(tmp_path)) as afterwards:
        assert afterwards.files(ROOT) == {FILE: "old"}
        assert afterwards.pending(ROOT) == ["new"]


def test_others_read_while_the_index_commits(manifest: Manifest, tmp_path: Path) -> None:
    seen = []

    def look() -> None:
        with closing(Manifest(tmp_path)) as other:
            seen.append((other.files(ROOT), other.pending(ROOT)))

    many = {f"{n:05}.txt": f"{n:032}" for n in range(20_000)}  # more than SQLite keeps in memory by itself
    manifest.record(ROOT, {**many, FILE: "new"}, ["new"], look)
    assert seen == [({FILE: "old"}, ["new"])]
    assert manifest.files(ROOT) == {**many, FILE: "new"}
    assert manifest.pending(ROOT) == ["old"]


def test_ids_are_marked_together_and_settled_one_by_one(manifest: Manifest, tmp_path: Path) -> None:
    with closing(sqlite3.connect(tmp_path / FILE_NAME)) as earlier, earlier:  # a row for each, as versions before did
        earlier.execute("INSERT INTO pending VALUES (?, 'ancient')", (bytes(ROOT),))
    manifest.mark_pending(ROOT, ["a", "b", "new"])
    manifest.mark_pending(Path("/others"), ["b"])
    assert manifest.pending(ROOT) == ["a", "ancient", "b", "new"]
    assert manifest.ids() == {"old", "a", "ancient", "b", "new"}
    manifest.settle(ROOT, ["b", "ancient"])
    assert manifest.pending(ROOT) == ["a", "new"]
    assert manifest.pending(Path("/others")) == ["b"]
