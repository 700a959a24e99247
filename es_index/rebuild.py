"""Fills a new index from the files while the old one is searched, then lets searches go to the new one.

Until `publish` nothing is touched that a search or a later run sees; the new index has its own manifest, see
`service_kit.passages.manifests`. The old index is kept, its manifest with it, for `--rollback`.
"""

import logging
from collections.abc import Mapping, Set
from contextlib import ExitStack, closing
from functools import partial
from pathlib import Path

from es_index.options import DEFAULT_DIRECTORY
from es_index.report import Report
from es_index.run import Progress, Run, list_indexable
from es_index.scan import readable_name
from service_kit.errors import IndexingError, IndexUnavailable, YijuError
from service_kit.passages import Passage, PassageReader, RebuildWriter, index_ids, open_reader, open_rebuild
from service_kit.passages.engines import need_several_indices
from service_kit.passages.lock import indexing_lock
from service_kit.passages.manifest import Manifest
from service_kit.passages.manifests import drop, take_up, waiting_name
from service_kit.settings import Settings
from service_kit.words import Words

logger = logging.getLogger(__name__)


def rebuild(
    settings: Settings, directory: str | None, *, allow_empty: bool = False, progress: Progress = iter
) -> list[Report]:
    """Index anew all directories that the index was made of, and `directory` if there is one. Returns a report of each.

    A file that can not be read any more keeps the passage that the old index holds of it.

    Args:
        allow_empty: leave out directories that are gone or empty, instead of refusing.
        progress: as of `index_directory`.

    Raises:
        IndexingError: the engine has but one index, another run is going on, a directory is gone or could not be read
            whole, or the new index would lack a passage that a file had. Searches still go to the old index.
        DependencyDown: the engine fails, likewise.
    """
    need_several_indices(settings, "--rebuild")
    with ExitStack() as stack:
        stack.enter_context(indexing_lock(settings.data))
        take_up(settings.data, index_ids(settings))
        with closing(Manifest(settings.data)) as manifest:
            known = {one: manifest.files(one) for one in manifest.directories()}
        if directory is not None or not known:
            known.setdefault(Path(directory or DEFAULT_DIRECTORY).resolve(), {})
        listings = {root: list_indexable(root, allow_empty=allow_empty, known=True) for root in sorted(known)}
        reader = stack.enter_context(closing(open_reader(settings)))
        writer = stack.enter_context(closing(open_rebuild(settings)))
        reports = []
        try:
            with closing(Manifest(settings.data, waiting_name(writer.index_id))) as manifest:
                manifest.reset(writer.index_id)
                for root, listing in listings.items():
                    run = Run(manifest, writer, root, partial(_earlier, reader, known[root]))
                    run.store(listing.files, (), progress)
                    run.finish(listing)
                    reports.append(run.report)
                    _refuse_gaps(run.report, known[root].keys() & {*listing.files} - manifest.files(root).keys())
            writer.publish()
        except BaseException:
            _give_up(settings, writer)
            raise
        take_up(settings.data, index_ids(settings))
        return reports


def _earlier(reader: PassageReader, known: Mapping[str, str], file: str) -> Passage | None:
    if file not in known:
        return None
    try:
        return next(iter(reader.fetch([known[file]])), None)
    except IndexUnavailable:
        return None


def _refuse_gaps(report: Report, lost: Set[str]) -> None:
    if not report.whole:
        raise IndexingError(
            f"目录未能完整读取，未启用新索引：{report.directory}",
            f"The new index is not used, as a directory could not be read whole: {report.directory}",
        )
    if lost:  # such as on a server that has no room left and refuses everything
        first = readable_name(min(lost))
        why = next((one.reason for one in report.failed if one.file == first), Words("?", "?"))
        raise IndexingError(
            f"未启用新索引：{report.directory} 中有 {len(lost)} 个文件的段落会丢失，例如 {first}：{why.zh}",
            f"The new index is not used, as it lacks the passages of {len(lost)} files in {report.directory}, such as "
            f"{first}: {why.en}",
        )


def _give_up(settings: Settings, writer: RebuildWriter) -> None:
    try:
        if index_ids(settings).serving == writer.index_id:  # published: only the answer was lost
            return
        writer.discard()
    except YijuError:  # the next rebuild does it
        logger.warning("the half-filled index could not be removed", exc_info=True)
    else:
        drop(settings.data, writer.index_id)
