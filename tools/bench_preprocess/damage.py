"""Runs the real command's run over broken files and sees how each one ends."""

import tempfile
import time
from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from tools.bench_preprocess.corrupt import broken_files
from tools.preprocess.pool import Options
from tools.preprocess.run import Report, preprocess


@dataclass(frozen=True)
class Outcome:
    """`ends`: error name, or `read`, -> files."""

    files: int
    ends: dict[str, int]
    seconds: float
    report: Report


def run_broken(good: Sequence[tuple[str, bytes]], count: int, options: Options, workers: int = 2) -> Outcome:
    """All of `count` broken files through the worker processes."""
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, "in")
        source.mkdir()
        for name, data in broken_files(good, count):
            (source / name).write_bytes(data)
        began = time.monotonic()
        report = preprocess(source, Path(folder, "out"), options, workers=workers)
        seconds = time.monotonic() - began
    ends = Counter(entry.fault.name if entry.fault else "read" for entry in report.entries)
    return Outcome(len(report.entries), dict(ends.most_common()), seconds, report)
