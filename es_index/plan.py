"""What a run would do, without writing anything."""

from contextlib import closing
from pathlib import Path

from es_index.report import Failure, Report
from es_index.run import Progress, list_indexable, refuse_to_lose
from es_index.scan import read_passage, readable_name
from service_kit.errors import IndexUnavailable, UnreachableFile, UnreadableFile
from service_kit.passages import index_ids, open_reader
from service_kit.passages.manifests import peek
from service_kit.settings import Settings


def plan(
    settings: Settings,
    directory: str,
    *,
    allow_empty: bool = False,
    begin_anew: bool = False,
    progress: Progress = iter,
) -> Report:
    """The report that `index_directory` would give now: every file is read, nothing is written.

    Raises:
        IndexingError: as `index_directory`, but for what only writing shows.
    """
    root = Path(directory).resolve()
    held, lost = _held(settings)
    known = held.pop(root, {})
    listing = list_indexable(root, allow_empty=allow_empty, known=bool(known))
    if lost and not begin_anew:
        refuse_to_lose(settings)
    report = Report(readable_name(root), begun_anew=lost or not _is_usable(settings))
    if report.begun_anew:
        report.forgotten = sorted(map(readable_name, held))
        held, known = {}, {}
    holds = dict(known)
    saw_all = listing.whole
    for file in progress(listing.files):
        try:
            passage_id = read_passage(root, file).id
        except UnreadableFile as fault:
            saw_all = saw_all and not isinstance(fault, UnreachableFile)
            report.failed.append(Failure(readable_name(file), fault.words))
            continue
        holds[file] = passage_id
        if file not in known:
            report.new.append(readable_name(file))
        elif known[file] != passage_id:
            report.changed.append(readable_name(file))
        else:
            report.unchanged += 1
    report.failed.extend(Failure(readable_name(file), fault.words) for file, fault in listing.faults)
    report.whole = saw_all
    if saw_all:
        gone = sorted(known.keys() - set(listing.files))
        report.removed.extend(map(readable_name, gone))
        holds = {file: passage_id for file, passage_id in holds.items() if file not in set(gone)}
    others = {passage_id for files in held.values() for passage_id in files.values()}
    report.passages = len(others | set(holds.values()))
    return report


def _held(settings: Settings) -> tuple[dict[Path, dict[str, str]], bool]:
    """What the manifest says that each directory holds; and whether there is none of the index that there is."""
    ids = index_ids(settings)
    manifest = peek(settings.data, ids)
    if manifest is None:
        return {}, True
    with closing(manifest):
        held = {directory: manifest.files(directory) for directory in manifest.directories()}
        return held, ids.serving is None or not manifest.describes(ids.serving)


def _is_usable(settings: Settings) -> bool:
    """Whether a run would go on with the index that there is."""
    with closing(open_reader(settings)) as reader:
        try:
            reader.count()
        except IndexUnavailable:
            return False
    return True
