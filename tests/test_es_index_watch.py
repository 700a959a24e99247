"""Watch mode: in a thread, and as a process."""

import os
import subprocess
import sys
import threading
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from es_index.report import Report
from es_index.watch import watch
from service_kit.errors import IndexUnavailable, YijuError
from service_kit.passages import open_reader
from service_kit.passages.lock import indexing_lock
from service_kit.settings import Settings, load_settings
from tests.servers import wait_until

ROOT = Path(__file__).parent.parent
SEARCHABLE_WITHIN_S = 5.0


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(data=tmp_path / "data")


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    directory = tmp_path / "texts"
    directory.mkdir()
    (directory / "a.txt").write_text("甲题\n甲文", "utf-8")
    return directory


@contextmanager
def watching(settings: Settings, texts: Path) -> Iterator[list[Report | YijuError]]:
    """What a watch in a thread has told so far."""
    told: list[Report | YijuError] = []
    stop = threading.Event()
    thread = threading.Thread(target=lambda: told.extend(watch(settings, str(texts), stop=stop)))
    thread.start()
    try:
        yield told
    finally:
        stop.set()
        thread.join(20)
        assert not thread.is_alive()


def found(settings: Settings, question: str) -> list[str]:
    try:
        return [hit.passage.text for hit in open_reader(settings).search(question, 9).hits]
    except IndexUnavailable:
        return []


def test_every_change_is_searchable(settings: Settings, texts: Path) -> None:
    with watching(settings, texts):
        wait_until(lambda: found(settings, "甲题") == ["甲文"], "the first run")
        (texts / "sub").mkdir()
        (texts / "sub" / "b.txt").write_text("乙题\n乙文", "utf-8")
        wait_until(lambda: found(settings, "乙题") == ["乙文"], "a new file", SEARCHABLE_WITHIN_S)
        (texts / "a.txt").write_text("甲题\n改文", "utf-8")
        wait_until(lambda: found(settings, "甲题") == ["改文"], "a changed file", SEARCHABLE_WITHIN_S)
        (texts / "a.txt").unlink()
        wait_until(lambda: found(settings, "甲题") == [], "a removed file", SEARCHABLE_WITHIN_S)


def test_trouble_is_told_once_and_waited_out(settings: Settings, texts: Path, tmp_path: Path) -> None:
    told: list[Report | YijuError] = []
    stop = threading.Event()
    texts.rename(tmp_path / "away")
    steps = watch(settings, str(texts), stop=stop)
    told.append(next(steps))
    assert "No directory" in str(told[0])
    (tmp_path / "away").rename(texts)
    with indexing_lock(settings.data):
        assert "Another es_index" in str(next(steps))
    report = next(steps)
    assert isinstance(report, Report)
    assert len(report.new) == 1
    # Only what was touched is read again.
    (texts / "b.txt").write_text("乙题\n乙文", "utf-8")
    report = next(steps)
    assert isinstance(report, Report)
    assert (len(report.new), report.unchanged) == (1, 1)
    stop.set()
    assert list(steps) == []


@pytest.mark.slow
def test_a_watching_process(settings: Settings, texts: Path) -> None:
    environment = {**os.environ, "YIJU_DATA": str(settings.data), "YIJU_LANG": "en"}
    command = [sys.executable, "-m", "es_index", str(texts), "--watch"]
    process = subprocess.Popen(command, cwd=ROOT, env=environment, stdout=subprocess.PIPE, stderr=subprocess.DEVNULL)
    try:
        wait_until(lambda: found(settings, "甲题") == ["甲文"], "the first run", 60)
        (texts / "b.txt").write_text("乙题\n乙文", "utf-8")
        began = time.monotonic()
        wait_until(lambda: found(settings, "乙题") == ["乙文"], "a new file", SEARCHABLE_WITHIN_S)
        assert time.monotonic() - began < SEARCHABLE_WITHIN_S
    finally:
        process.kill()
        output, _ = process.communicate()
    assert b"new 1" in output
