"""Brings the output folder into agreement with the input folder."""

import hashlib
import json
import os
from collections.abc import Callable, Iterable
from dataclasses import asdict, dataclass, field
from pathlib import Path

from filelock import FileLock, Timeout

from es_index.scan import readable_name
from service_kit.errors import InvalidRequest
from tools.preprocess.entries import Entry
from tools.preprocess.output import remove, write
from tools.preprocess.pool import Done, Options, Task, run_all
from tools.preprocess.scan import Listing, list_documents
from tools.preprocess.state import Known, State

VERSION = 1
"""Raise it with every change of what comes out: then all inputs are read anew."""

Progress = Callable[[Iterable[Done], int], Iterable[Done]]
"""Gets what is done as it comes and how much there will be, and passes it on."""


@dataclass
class Report:
    """Inputs by what became of them; `entries` has one for each, sorted."""

    entries: list[Entry] = field(default_factory=list)
    new: list[str] = field(default_factory=list)
    changed: list[str] = field(default_factory=list)
    unchanged: list[str] = field(default_factory=list)
    removed: list[str] = field(default_factory=list)
    kept: list[str] = field(default_factory=list)
    """Failed now, while passages of an earlier version stay."""
    whole: bool = True

    @property
    def failed(self) -> list[Entry]:
        return [entry for entry in self.entries if entry.fault]


def preprocess(
    source: Path,
    target: Path,
    options: Options,
    *,
    workers: int = 1,
    allow_empty: bool = False,
    progress: Progress = lambda done, _: done,
) -> Report:
    """Read what is new or changed below `source`, and remove from `target` what has no input any more.

    Raises:
        InvalidRequest: the folders do not go together, or another run is going on.
    """
    source, target = source.resolve(), target.resolve()
    if source == target or target in source.parents:
        raise InvalidRequest("输出目录不能是输入目录或其上级", "The output must not be the input or a folder above it")
    listing = list_documents(source, leave_out=target)
    target.mkdir(parents=True, exist_ok=True)
    try:
        with FileLock(target / ".preprocess.lock", timeout=0):
            run = _Run(source, target, options)
            run.refuse_empty(listing, allow_empty=allow_empty)
            run.read(listing, workers, progress)
            run.remove(listing)
            return run.report
    except Timeout:
        raise InvalidRequest("另一个进程正在写此目录", "Another process is writing to this folder") from None


class _Run:
    def __init__(self, source: Path, target: Path, options: Options) -> None:
        self._source, self._target = source, target
        self._options = options
        self._state = State(target)
        decisive = {"version": VERSION, "limits": asdict(options.limits), "tokenizer": options.tokenizer}
        self._options_key = hashlib.sha256(json.dumps(decisive, sort_keys=True).encode()).hexdigest()[:16]
        self.report = Report()

    def refuse_empty(self, listing: Listing, *, allow_empty: bool) -> None:
        """A folder that is suddenly empty is rather a mount that failed."""
        if not listing.files and self._state.files() and not allow_empty:
            raise InvalidRequest(
                "输入目录为空，而输出目录有它的段落；确要全部移除请加 --allow-empty",
                "The input is empty, but there are passages from it; if they are all to go, add --allow-empty",
            )

    def read(self, listing: Listing, workers: int, progress: Progress) -> None:
        """Read all that is new or changed and write its passages."""
        digests: dict[str, str] = {}
        tasks = []
        for path in listing.files:
            file = os.fspath(path)
            digests[file] = _digest(self._source / path)
            known = self._state.get(file)
            if known and self._is_current(known, digests[file], file):
                self.report.unchanged.append(readable_name(path))
                self.report.entries.append(known.entry)
            else:
                tasks.append(Task(file, self._source / path, readable_name(path)))
        for done in progress(run_all(tasks, self._options, workers), len(tasks)):
            self._keep(done, digests[done.task.file])
        self.report.entries.sort(key=lambda entry: entry.file)
        for names in (self.report.new, self.report.changed, self.report.kept):
            names.sort()

    def _is_current(self, known: Known, digest: str, file: str) -> bool:
        folder = self._target / file
        return (known.sha256, known.options) == (digest, self._options_key) and all(
            _size(folder / name) == size for name, size in known.sizes.items()
        )

    def _keep(self, done: Done, digest: str) -> None:
        file, entry = done.task.file, done.entry
        before = self._state.get(file)
        self.report.entries.append(entry)
        if entry.fault:
            if before:
                self.report.kept.append(entry.file)
            return
        (self.report.changed if before else self.report.new).append(entry.file)
        self._state.begin(file)
        write(self._target / file, done.passages)
        sizes = {name: len(content) for name, content in done.passages.items()}
        self._state.finish(file, Known(digest, self._options_key, sizes, entry))

    def remove(self, listing: Listing) -> None:
        """Take out the passages of inputs that are gone, provided that all inputs were seen."""
        self.report.whole = listing.whole
        if listing.whole:
            for file in sorted(set(self._state.files()) - set(map(os.fspath, listing.files))):
                remove(self._target / file, self._target)
                self._state.forget(file)
                self.report.removed.append(readable_name(Path(file)))
        self._state.compact()


def _digest(path: Path) -> str:
    """Of the content; empty for a file that can not be read, which then fails with its reason."""
    try:
        with path.open("rb") as file:
            return hashlib.file_digest(file, "sha256").hexdigest()
    except OSError:
        return ""


def _size(path: Path) -> int:
    try:
        return path.stat().st_size
    except OSError:
        return -1
