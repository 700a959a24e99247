"""es_index as a process: output, exit codes, locks, and what a kill leaves behind."""

import json
import os
import random
import signal
import socket
import subprocess
import sys
import uuid
from collections.abc import Iterator
from contextlib import closing
from functools import partial
from pathlib import Path

import pytest

from es_index.__main__ import main
from es_index.run import index_directory
from service_kit.passages import open_reader
from service_kit.passages.lock import indexing_lock
from service_kit.passages.manifest import Manifest
from service_kit.settings import Settings, load_settings
from tests.elasticsearch_fixtures import elastic_settings, remove_indices
from tests.servers import wait_until

ROOT = Path(__file__).parent.parent


@pytest.fixture
def texts(tmp_path: Path) -> Path:
    directory = tmp_path / "texts"
    directory.mkdir()
    for n in range(40):
        (directory / f"{n:03}.txt").write_text(f"题{n}\n文{n}", encoding="utf-8")
    return directory


@pytest.fixture
def settings(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Settings:
    monkeypatch.setenv("YIJU_DATA", str(tmp_path / "data"))
    return load_settings()


def change(texts: Path) -> None:
    """Every kind of change: new, changed, removed, renamed, copied."""
    (texts / "new.txt").write_text("新题\n新文", encoding="utf-8")
    (texts / "001.txt").write_text("题1\n改文", encoding="utf-8")
    (texts / "002.txt").unlink()
    (texts / "003.txt").rename(texts / "renamed.txt")
    (texts / "copy.txt").write_bytes((texts / "004.txt").read_bytes())
    (texts / "004.txt").write_text("题4\n改文", encoding="utf-8")


def state(settings: Settings) -> object:
    """All that the index and the manifest hold."""
    with closing(open_reader(settings)) as reader:
        ids = sorted(reader.ids())
        assert reader.count() == len(ids)  # none is there twice
        passages = [passage for id in ids for passage in reader.fetch([id])]
    manifest = Manifest(settings.data)
    directories = manifest.directories()
    files = {directory: manifest.files(directory) for directory in directories}
    pending = {directory: manifest.pending(directory) for directory in directories}
    manifest.close()
    return passages, files, pending


def clean_state(settings: Settings, texts: Path) -> object:
    """What one undisturbed run makes of the directory."""
    update = {"data": settings.data.with_name("clean"), "es_index": f"yiju-test-{uuid.uuid4().hex[:12]}"}
    clean = settings.model_copy(update=update)
    try:
        index_directory(clean, str(texts))
        return state(clean)
    finally:
        if clean.search == "elasticsearch":
            remove_indices(clean)


def test_report_and_exit_codes(
    settings: Settings, texts: Path, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    report_file = tmp_path / "report.json"
    assert main([str(texts)]) == 0
    assert "新增 40  变更 0  未变 0  移除 0  失败 0" in capsys.readouterr().out
    (texts / "bad.txt").write_bytes(b"\x89PNG\0\0")
    assert main([str(texts), "--json", str(report_file)]) == 1
    assert "失败 bad.txt：" in capsys.readouterr().out
    report = json.loads(report_file.read_text(encoding="utf-8"))
    assert report["unchanged"] == 40
    assert report["failed"][0]["file"] == "bad.txt"
    assert main([str(tmp_path / "nowhere")]) == 2
    shown = capsys.readouterr().err
    assert "没有目录" in shown
    assert "No directory" in shown


def test_english_report(
    settings: Settings, texts: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("YIJU_LANG", "en")
    assert main([str(texts)]) == 0
    assert "new 40  changed 0  unchanged 0  removed 0  failed 0" in capsys.readouterr().out


@pytest.mark.parametrize(("variable", "value"), [("YIJU_TOP_K", "many"), ("YIJU_DATA", "/dev/null/x")])
def test_what_can_not_run_says_so(
    texts: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str], variable: str, value: str
) -> None:
    monkeypatch.setenv(variable, value)
    assert main([str(texts)]) == 2
    assert capsys.readouterr().err


def test_second_indexer_is_told_who_is_first(
    settings: Settings, texts: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    holder = subprocess.Popen(
        [sys.executable, "-c", _HOLD_LOCK, str(settings.data)],
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
    )
    with holder:
        assert holder.stdout
        holder.stdout.readline()
        assert main([str(texts)]) == 2
        assert f"pid {holder.pid} on {socket.gethostname()}" in capsys.readouterr().err
        holder.kill()
    assert main([str(texts)]) == 0


_HOLD_LOCK = """
import sys
from pathlib import Path
from service_kit.passages.lock import indexing_lock
with indexing_lock(Path(sys.argv[1])):
    print("held", flush=True)
    sys.stdin.read()
"""


def test_lock_is_free_again_after_use(tmp_path: Path) -> None:
    for _ in range(2):
        with indexing_lock(tmp_path):
            pass


_DIE_AT = """
import os, signal, sys
import es_index.run
from service_kit.passages.embedded_writer import EmbeddedWriter
from service_kit.passages.manifest import Manifest
owner, name, when, nth = sys.argv[1:5]
es_index.run.BATCH = es_index.run.COMMIT = 2
cls = {"Manifest": Manifest, "EmbeddedWriter": EmbeddedWriter}[owner]
step, calls = getattr(cls, name), 0
def dying(*args):
    global calls
    calls += 1
    if when == "before" and calls == int(nth):
        os.kill(os.getpid(), signal.SIGKILL)
    step(*args)
    if calls == int(nth):
        os.kill(os.getpid(), signal.SIGKILL)
setattr(cls, name, dying)
from es_index.__main__ import main
main(sys.argv[5:])
"""

STEPS = [
    ("Manifest", "reset", "before", 1),
    ("Manifest", "mark_pending", "before", 1),
    ("Manifest", "mark_pending", "after", 2),
    ("EmbeddedWriter", "commit", "after", 2),
    ("Manifest", "record", "after", 2),
]
STEPS_OF_AN_UPDATE = [
    ("Manifest", "mark_pending", "after", 1),
    ("EmbeddedWriter", "commit", "after", 1),
    ("Manifest", "record", "after", 1),
    ("Manifest", "record", "after", 2),
    ("Manifest", "remove", "before", 1),
    ("Manifest", "remove", "after", 1),
    ("Manifest", "settle", "before", 1),
]


def run_and_die(texts: Path, step: tuple[str, str, str, int]) -> None:
    arguments = [str(part) for part in step]
    done = subprocess.run(
        [sys.executable, "-c", _DIE_AT, *arguments, str(texts)], cwd=ROOT, capture_output=True, check=False
    )
    assert done.returncode == -signal.SIGKILL, done.stderr.decode()


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS, ids=str)
def test_killed_first_run_is_made_good(settings: Settings, texts: Path, step: tuple[str, str, str, int]) -> None:
    run_and_die(texts, step)
    (texts / "000.txt").unlink()  # what the killed run stored of it must not stay
    index_directory(settings, str(texts))
    assert state(settings) == clean_state(settings, texts)


@pytest.mark.slow
@pytest.mark.parametrize("step", STEPS_OF_AN_UPDATE, ids=str)
def test_killed_update_is_made_good(settings: Settings, texts: Path, step: tuple[str, str, str, int]) -> None:
    index_directory(settings, str(texts))
    change(texts)
    run_and_die(texts, step)
    index_directory(settings, str(texts))
    assert state(settings) == clean_state(settings, texts)


@pytest.fixture(params=["embedded", "elasticsearch-ik", "elasticsearch-client"])
def any_settings(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Settings]:
    """Settings of each engine in turn, in the environment too."""
    engine, _, analysis = request.param.partition("-")
    monkeypatch.setenv("YIJU_DATA", str(tmp_path / "data"))
    if engine == "embedded":
        yield load_settings()
        return
    url = request.getfixturevalue("elasticsearch_url")
    settings = elastic_settings(url, es_analysis=analysis, data=tmp_path / "data")
    for name in ("search", "es_urls", "es_index", "es_analysis"):
        monkeypatch.setenv(f"YIJU_{name.upper()}", getattr(settings, name))
    yield settings
    remove_indices(settings)


@pytest.mark.slow
def test_killed_anywhere_again_and_again(any_settings: Settings, texts: Path) -> None:
    dice = random.Random(7)
    data = any_settings.data
    for n in range(1500):
        (texts / f"more{n}.txt").write_text(f"多{n}\n" + "专项债务收入偿还预算" * 30 + str(n), encoding="utf-8")
    killed = 0
    for _ in range(20 if any_settings.search == "embedded" else 10):
        process = subprocess.Popen(
            [sys.executable, "-c", _SMALL_BATCHES, str(texts)], cwd=ROOT, stderr=subprocess.DEVNULL
        )
        wait_until(partial(has_begun, process, data), "the run begins", 60)
        try:
            process.wait(timeout=dice.uniform(0, 0.5))
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
            killed += 1
        for _ in range(50):  # work for the next one
            name = texts / f"more{dice.randrange(1500)}.txt"
            name.write_text(f"改{dice.random()}\n改文", encoding="utf-8")
        (texts / f"more{dice.randrange(1500)}.txt").unlink(missing_ok=True)
    assert killed
    index_directory(any_settings, str(texts))
    assert state(any_settings) == clean_state(any_settings, texts)


def has_begun(process: subprocess.Popen[bytes], data: Path) -> bool:
    """Whether it holds the lock, or is over already."""
    try:
        return (data / "index.lock").read_text().split(" ")[0] == str(process.pid) or process.poll() is not None
    except OSError:
        return process.poll() is not None


_SMALL_BATCHES = """
import sys
import es_index.run
es_index.run.BATCH, es_index.run.COMMIT = 50, 100
from es_index.__main__ import main
main(sys.argv[1:])
"""


@pytest.mark.slow
def test_a_reader_sees_what_another_process_indexes(settings: Settings, texts: Path) -> None:
    reader = open_reader(settings)
    environment = {**os.environ, "YIJU_LANG": "en"}
    for expected in (40, 41):
        subprocess.run(
            [sys.executable, "-m", "es_index", str(texts)], cwd=ROOT, env=environment, check=True, capture_output=True
        )
        assert reader.count() == expected
        (texts / "later.txt").write_text("后题\n后文", encoding="utf-8")
