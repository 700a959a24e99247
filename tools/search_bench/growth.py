"""The embedded engine from ten thousand to a million passages: time of a search, memory, disk."""

import json
import resource
import shutil
import subprocess
import sys
import time
from collections.abc import Iterator, Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from itertools import islice
from pathlib import Path

import numpy as np
from tqdm import tqdm

from service_kit.passages import open_reader, open_writer
from service_kit.settings import load_settings
from tools.search_bench.corpus import passages, questions

SIZES = (10_000, 30_000, 100_000, 300_000, 1_000_000)
TOP_K = 2
COMMIT = 2_000
"""Passages a commit, as es_index does it."""


@dataclass(frozen=True)
class Timed:
    """One size of the index. Times in milliseconds, memory and disk in MB."""

    passages: int
    p50: float
    p99: float
    mean: float
    searches: int
    memory: float
    """Peak resident memory of the process that searched, the pages of the index that it touched among it."""
    disk: float
    segments: int


def build(bench: Path, directory: Path, most: int) -> list[Path]:
    """Index up to `most` passages; after each of SIZES a copy of the index is kept. Returns the directories.

    What is there already is used again.
    """
    sizes = [size for size in SIZES if size <= most]
    wanted = [directory / str(size) for size in sizes]
    if all((one / "whole").exists() for one in wanted):
        return wanted
    growing = directory / "growing"
    shutil.rmtree(growing, ignore_errors=True)
    supply = passages(bench, sizes[-1])
    done = 0
    for size, kept in zip(sizes, wanted, strict=True):
        # A writer per size: closing it waits for its merges.
        with closing(open_writer(load_settings(data=growing))) as writer:
            for _ in tqdm(range(done, size, COMMIT), desc=f"{size} passages", unit_scale=COMMIT, disable=None):
                writer.upsert(islice(supply, min(COMMIT, size - done)))
                writer.commit()
                done = min(size, done + COMMIT)
        shutil.rmtree(kept, ignore_errors=True)
        shutil.copytree(growing, kept)
        (kept / "whole").touch()
    shutil.rmtree(growing)
    return wanted


def measure(bench: Path, directories: Sequence[Path], searches: int) -> Iterator[Timed]:
    """Each size in a process of its own, so that memory is that size's."""
    for directory in directories:
        command = [sys.executable, "-m", "tools.search_bench.growth", str(bench), str(directory), str(searches)]
        output = subprocess.run(command, check=True, capture_output=True, text=True).stdout
        yield Timed(**json.loads(output))


def time_searches(bench: Path, directory: Path, searches: int) -> Timed:
    """One thread, real questions, each once before to have the index in memory."""
    asked = questions(bench, searches)
    with closing(open_reader(load_settings(data=directory))) as reader:
        for question in asked:
            reader.search(question, TOP_K)
        seconds = []
        for question in asked:
            began = time.perf_counter()
            reader.search(question, TOP_K)
            seconds.append(time.perf_counter() - began)
        count = reader.count()
    milliseconds = np.array(seconds) * 1000
    files = [path for path in (directory / "index").iterdir() if path.is_file()]
    return Timed(
        passages=count,
        p50=float(np.percentile(milliseconds, 50)),
        p99=float(np.percentile(milliseconds, 99)),
        mean=float(milliseconds.mean()),
        searches=len(asked),
        memory=resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024,
        disk=sum(path.stat().st_size for path in files) / 1e6,
        segments=len(json.loads((directory / "index" / "meta.json").read_text())["segments"]),
    )


if __name__ == "__main__":
    print(json.dumps(asdict(time_searches(Path(sys.argv[1]), Path(sys.argv[2]), int(sys.argv[3])))))
