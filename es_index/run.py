"""Brings the index into agreement with one directory. What each step leaves behind when it is killed: `Manifest`."""

from collections.abc import Callable, Collection, Iterable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing, suppress
from pathlib import Path

from es_index.report import Failure, Report
from es_index.scan import Listing, list_files, read_passage, readable_name
from service_kit.errors import IndexingError, IndexUnavailable, PassagesRejected, UnreachableFile, UnreadableFile
from service_kit.passages import IndexIds, Passage, PassageWriter, index_ids, open_reader, open_writer
from service_kit.passages.lock import indexing_lock
from service_kit.passages.manifest import Holder, Manifest
from service_kit.passages.manifests import keep_copy, take_up
from service_kit.settings import Settings
from service_kit.words import Words

BATCH = 2000
"""Files that are read, marked as pending and handed to the engine together."""
FIRST_BATCH = 250
"""The same of the first batch; each is twice the one before, so that the engine has work at once."""
BATCH_BYTES = 4_000_000
"""Characters of their passages: a batch of long ones ends earlier."""
COMMIT = 50_000
"""Stored passages from which on a commit is due: until then nothing is seen, and a killed run does it again. At a
commit reading waits for the engine, so there are few."""
COMMIT_BYTES = 64_000_000
NEARLY_ALL = 0.8
"""Share of the files after which the engine is told that a commit comes: what it does for that takes about as long as
the rest of the files."""

Progress = Callable[[Iterable[str]], Iterable[str]]

_ALLOW_ZH = "，而索引中有来自它的段落；确要全部移除请加 --allow-empty"
_ALLOW_EN = ", but the index holds passages from it; if they are all to go, add --allow-empty"


def index_directory(
    settings: Settings,
    directory: str,
    *,
    allow_empty: bool = False,
    begin_anew: bool = False,
    untouched: Collection[str] = (),
    untouched_in: str | None = None,
    progress: Progress = iter,
) -> Report:
    """Index what is new or changed under `directory` and take out what no file holds any more.

    Args:
        allow_empty: take it as meant that the directory holds no text file, or is gone.
        begin_anew: empty an index whose manifest is lost, instead of refusing.
        untouched: files that are known to be as the last run read them; they are not read again, provided that the
            index is still that of that run, `untouched_in` (`Report.index_id`).
        progress: gets the files before they are read, and passes them on.

    Raises:
        IndexingError: no such directory, no text file in it, another run is going on, the manifest is not that of the
            index, or the index can not be written.
    """
    root = Path(directory).resolve()
    with ExitStack() as stack:
        stack.enter_context(indexing_lock(settings.data))
        ids = index_ids(settings)
        take_up(settings.data, ids)
        manifest = stack.enter_context(closing(Manifest(settings.data)))
        # Listed first: a run that is refused must not touch the index.
        listing = list_indexable(root, allow_empty=allow_empty, known=bool(manifest.files(root)))
        writer = stack.enter_context(closing(open_writer(settings)))
        if not (begin_anew or manifest.describes(writer.index_id)):
            refuse_to_lose(settings)
        run = Run(manifest, writer, root)
        run.match_manifest_with_index(settings.data, ids)
        run.store(listing.files, untouched if untouched_in == writer.index_id else (), progress)
        run.finish(listing)
        return run.report


def refuse_to_lose(settings: Settings) -> None:
    """An index without its manifest can not be kept in step with any directory, only be emptied.

    Raises:
        IndexingError: the index, whose manifest is not there, holds passages.
    """
    with closing(open_reader(settings)) as reader:
        try:
            count = reader.count()
        except IndexUnavailable:  # nothing that could be lost
            return
    if count:
        raise IndexingError(
            f"索引中有 {count} 个段落，但记录其来源的清单（manifest.sqlite）已丢失或属于另一索引。请恢复清单；"
            "或加 --begin-anew 清空索引从头建立，然后重新索引每个目录",
            f"The index holds {count} passages, but the manifest that says where they come from (manifest.sqlite) is "
            "lost or another index's. Restore it; or add --begin-anew to empty the index, and index each directory "
            "again",
        )


def list_indexable(root: Path, *, allow_empty: bool, known: bool) -> Listing:
    """The files of a directory that may be indexed as it is; `known`: the index holds passages from it.

    Raises:
        IndexingError: it is gone or empty, and `allow_empty` does not say that this is meant.
    """
    name = readable_name(root)
    if not root.is_dir():
        if not (known and allow_empty):
            raise IndexingError(f"没有目录 {name}{_ALLOW_ZH * known}", f"No directory {name}{_ALLOW_EN * known}")
        return Listing((), ())
    listing = list_files(root)
    if not (listing.files or allow_empty):
        raise IndexingError(
            f"{name} 中没有可读的 *.txt{_ALLOW_ZH * known}", f"No readable *.txt in {name}{_ALLOW_EN * known}"
        )
    return listing


class Run:
    """The steps of one run over one directory, in their order; `report` grows with them.

    `earlier` gives the passage that an index which is being replaced holds for a file that can not be read now.
    """

    def __init__(
        self,
        manifest: Manifest,
        writer: PassageWriter,
        directory: Path,
        earlier: Callable[[str], Passage | None] = lambda file: None,
    ) -> None:
        self._manifest = manifest
        self._writer = writer
        self._directory = directory
        self._earlier = earlier
        self._saw_all = True
        self._known: Mapping[str, str] = {}  # what the manifest said of this directory before
        # Since the last commit: what each file holds, what was stored of it.
        self._holds: dict[str, str] = {}
        self._stored: set[str] = set()
        self._waiting_bytes = 0
        self.report = Report(readable_name(directory), index_id=writer.index_id)

    def match_manifest_with_index(self, data: Path, ids: IndexIds) -> None:
        """When the manifest is not the index's (which was lost or is of another version), begin anew."""
        index_id = self._writer.index_id
        if self._manifest.describes(index_id):
            return
        others = [one for one in self._manifest.directories() if one != self._directory]
        self.report.forgotten.extend(map(readable_name, others))
        self.report.begun_anew = True
        keep_copy(data, self._manifest, ids)
        self._writer.clear()
        self._writer.commit()
        self._manifest.reset(index_id)

    def store(self, files: Sequence[str], untouched: Collection[str], progress: Progress = iter) -> None:
        """Read all files but the untouched ones and store what is new or changed. The engine may take up a batch while
        the next one is read; the manifest is told at each commit."""
        known = self._known = self._manifest.files(self._directory)
        kept = known.keys() & set(untouched)
        self.report.unchanged += len(kept)
        batch = _Batch(min(FIRST_BATCH, BATCH))
        nearly_last = int(NEARLY_ALL * len(files))
        for number, file in enumerate(progress(files)):
            if number == nearly_last:
                self._writer.begin_commit()
            if file in kept:
                continue
            if (passage := self._read(file, known.get(file))) is not None:
                batch.add(file, passage)
            if batch.is_full:
                self._hand_over(batch)
                batch = _Batch(min(2 * batch.most, BATCH))
        self._hand_over(batch)
        self._commit()

    def finish(self, listing: Listing) -> None:
        """Take out what no file holds any more, provided that all files were seen.

        A file that could not be opened may be the new name of one that is gone: it counts as unseen.
        """
        for file, fault in listing.faults:
            self._fail(file, fault)
        self.report.whole = self._saw_all
        if self._saw_all:
            gone = sorted(self._known.keys() - set(listing.files))
            self._manifest.remove(self._directory, gone)
            self.report.removed.extend(map(readable_name, gone))
            self._settle()
        self.report.passages = self._manifest.passages()

    def _read(self, file: str, before: str | None) -> Passage | None:
        """The passage to store for a file; None when there is nothing to do. `before`: the id that it had."""
        try:
            passage, readable = read_passage(self._directory, file), True
        except UnreadableFile as fault:  # what was indexed from it before stays
            self._fail(file, fault)
            kept = self._earlier(file)
            if kept is None:
                return None
            passage, readable = kept, False
        if before == passage.id:
            self.report.unchanged += 1
            return None
        if readable:
            (self.report.new if before is None else self.report.changed).append(passage.file or readable_name(file))
        return passage

    def _hand_over(self, batch: "_Batch") -> None:
        """To the engine, after the manifest has marked it. A passage that several files hold is stored once, under the
        name of the first."""
        held = self._manifest.held({passage.id for passage in batch.passages.values()})
        to_store: dict[str, Passage] = {}
        for file, passage in batch.passages.items():
            self._holds[file] = passage.id
            if passage.id in self._stored or passage.id in to_store:
                continue
            if passage.id not in held or self._manifest.is_first_holder(self._directory, file, passage.id):
                to_store[passage.id] = passage
        self._manifest.mark_pending(self._directory, to_store)
        self._writer.upsert(to_store.values())
        self._stored.update(to_store)
        self._waiting_bytes += batch.size
        if len(self._holds) >= COMMIT or self._waiting_bytes >= COMMIT_BYTES:
            self._commit()

    def _commit(self) -> None:
        if not self._holds:
            return
        self._writer.begin_commit()
        try:
            self._manifest.record(self._directory, self._holds, self._stored, self._writer.commit)
        except PassagesRejected as error:  # all others are committed
            self._refuse(error.reasons)
            self._manifest.record(self._directory, self._holds, self._stored)
        self._holds, self._stored, self._waiting_bytes = {}, set(), 0

    def _refuse(self, reasons: Mapping[str, str]) -> None:
        """The engine does not take these ids: the files that hold them keep what was indexed from them before."""
        for file in [file for file, passage_id in self._holds.items() if passage_id in reasons]:
            why = reasons[self._holds.pop(file)]
            for kept in (self.report.new, self.report.changed):
                if readable_name(file) in kept:
                    kept.remove(readable_name(file))
            self._fail(file, UnreadableFile(f"索引拒绝了这一段落：{why}", f"The index refuses this passage: {why}"))
        self._stored.difference_update(reasons)

    def _settle(self) -> None:
        pending = self._manifest.pending(self._directory)
        if not pending:
            return
        holders = {one: self._manifest.holder(one) for one in pending}
        self._writer.delete(one for one, holder in holders.items() if holder is None)
        # The file that it was stored under may be the one that is gone: another one has to give its name.
        self._writer.upsert(_read_again(holders))
        try:
            self._writer.commit()
        except PassagesRejected as error:  # they stay pending: the next run tries again
            pending = [one for one in pending if one not in error.reasons]
            for passage_id, why in error.reasons.items():
                words = Words(f"索引拒绝了对此段落的改动：{why}", f"The index refuses to change this passage: {why}")
                self.report.failed.append(Failure(passage_id, words))
        self._manifest.settle(self._directory, pending)

    def _fail(self, file: str, fault: UnreadableFile) -> None:
        self._saw_all = self._saw_all and not isinstance(fault, UnreachableFile)
        self.report.failed.append(Failure(readable_name(file), fault.words))


def _read_again(holders: Mapping[str, Holder | None]) -> Iterator[Passage]:
    for passage_id, holder in holders.items():
        if holder is not None:
            with suppress(UnreadableFile):
                passage = read_passage(*holder)
                if passage.id == passage_id:
                    yield passage


class _Batch:
    """Passages by file, for one step: at most so many."""

    def __init__(self, most: int) -> None:
        self.most = most
        self.passages: dict[str, Passage] = {}
        self.size = 0

    def add(self, file: str, passage: Passage) -> None:
        self.passages[file] = passage
        self.size += len(passage.text)

    @property
    def is_full(self) -> bool:
        return len(self.passages) >= self.most or self.size >= BATCH_BYTES
