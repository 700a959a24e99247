"""Watch mode: a directory is looked at again and again, and what changed is indexed.

Looking means listing the files and asking for their times and sizes. That works on every file system, network mounts
and mounts of containers included, where the kernel's notifications do not arrive; and it costs little: 20,000 files
take a tenth of a second.
"""

import os
import time
from collections.abc import Iterator
from pathlib import Path
from threading import Event

from es_index.report import Report
from es_index.run import index_directory
from es_index.scan import list_files
from service_kit.errors import YijuError
from service_kit.settings import Settings

INTERVAL_S = 1.0
"""Seconds between two looks."""
MOST_OF_TIME = 0.25
"""Share of the time that looking may take; where it takes longer, it is done more seldom."""

Stamps = dict[str, tuple[int, int, int]]
"""File -> inode, time of change in ns, size."""


def watch(
    settings: Settings, directory: str, *, stop: Event, allow_empty: bool = False
) -> Iterator[Report | YijuError]:
    """Index the directory now and after every change, until `stop` is set.

    Yields a report after each run, and the error when one could not begin (the directory is gone or empty, another
    es_index is running, the engine is down): it is tried again, and told of once.
    """
    root = Path(directory).resolve()
    done: Stamps | None = None
    index_id: str | None = None
    trouble = ""
    while not stop.is_set():
        began = time.monotonic()
        seen = look(root)
        looking = time.monotonic() - began
        if seen != done:
            untouched = [] if done is None else [file for file, stamp in seen.items() if done.get(file) == stamp]
            try:
                report = index_directory(
                    settings, directory, allow_empty=allow_empty, untouched=untouched, untouched_in=index_id
                )
            except YijuError as error:
                if str(error) != trouble:
                    trouble = str(error)
                    yield error
            else:
                # What was changed since the look differs from `seen` at the next one.
                done, index_id, trouble = seen, report.index_id, ""
                yield report
        stop.wait(max(INTERVAL_S, looking / MOST_OF_TIME))


def look(root: Path) -> Stamps:
    """What can be told of the text files without reading them; a file that is just vanishing is left out."""
    stamps: Stamps = {}
    for file in list_files(root).files if root.is_dir() else ():
        try:
            facts = os.stat(f"{root}{os.sep}{file}")  # noqa: PTH116  # thousands each second
        except OSError:
            continue
        stamps[file] = (facts.st_ino, facts.st_mtime_ns, facts.st_size)
    return stamps
