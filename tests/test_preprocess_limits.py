"""Broken and hostile files: each ends by itself, within its time and memory, and says why."""

from pathlib import Path

import pytest

from tools.bench_preprocess.contents import announcement, statistics
from tools.bench_preprocess.damage import run_broken
from tools.bench_preprocess.writers import docx_file, pdf_file, plain, xlsx_file
from tools.preprocess.pool import Options
from tools.preprocess.run import preprocess


def good_files() -> list[tuple[str, bytes]]:
    text, table = announcement(0), statistics(0)
    return [
        ("a.docx", docx_file.write(text)),
        ("b.pdf", pdf_file.write(text)),
        ("c.html", plain.html(text, "gb18030")),
        ("d.xlsx", xlsx_file.write(table)),
        ("e.txt", plain.txt(text, "gb18030")),
    ]


@pytest.mark.slow
def test_every_broken_file_ends_with_a_name() -> None:
    outcome = run_broken(good_files(), 74, Options(seconds=30))
    assert outcome.files == 74
    assert "WorkerDied" not in outcome.ends
    ends = {entry.file: entry.fault.name if entry.fault else "read" for entry in outcome.report.entries}
    expected = {
        "001-empty.txt": "UnreadableFile", "002-bomb.docx": "TooLarge", "003-bomb.xlsx": "TooLarge",
        "004-laughs.docx": "Damaged", "006-macro.docm": "HasMacros", "007-macro.xlsx": "HasMacros",
        "008-encrypted.docx": "Encrypted", "009-encrypted.xlsx": "Encrypted", "010-encrypted.pdf": "Encrypted",
        "013-mojibake.txt": "UnreadableFile", "017-nopages.pdf": "Damaged", "020-old.doc": "NeedsOffice",
        "022-picture.png": "Unsupported", "023-wide.xlsx": "NoText",
    }  # fmt: skip
    assert {name: ends[name] for name in expected} == expected


def test_a_file_over_its_time_ends_alone(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    (source / "a-slow.txt").write_text("同一行字。" * 400_000, "utf-8")
    (source / "b.txt").write_text("某办法\n第一条　甲。\n", "utf-8")
    report = preprocess(source, tmp_path / "out", Options(seconds=0.6))
    assert {entry.file: entry.fault and entry.fault.name for entry in report.entries}["a-slow.txt"] == "TimeOut"


def test_a_file_over_its_memory_ends_alone(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    (source / "big.txt").write_text("同一行字。" * 4_000_000, "utf-8")
    (source / "small.txt").write_text("某办法\n第一条　甲。\n", "utf-8")
    report = preprocess(source, tmp_path / "out", Options(megabytes=200))
    ends = {entry.file: entry.fault and entry.fault.name for entry in report.entries}
    assert ends == {"big.txt": "OutOfMemory", "small.txt": None}


def test_a_file_over_the_size_limit_is_not_opened(tmp_path: Path) -> None:
    source = tmp_path / "in"
    source.mkdir()
    (source / "big.txt").write_text("字" * 400_000, "utf-8")
    (entry,) = preprocess(source, tmp_path / "out", Options(largest_megabytes=1)).entries
    assert entry.fault
    assert entry.fault.name == "TooLarge"
