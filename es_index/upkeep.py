"""What keeps an index in order beside indexing: back to the previous one, out with what nobody needs."""

from contextlib import ExitStack, closing
from dataclasses import dataclass
from typing import Any

from service_kit.errors import IndexingError
from service_kit.passages import Passage, index_ids, open_reader, open_writer
from service_kit.passages.engines import need_several_indices
from service_kit.passages.lock import indexing_lock
from service_kit.passages.manifest import Manifest
from service_kit.passages.manifests import drop, take_up
from service_kit.settings import Settings
from service_kit.words import Words

_FETCHED_AT_ONCE = 500


@dataclass(frozen=True)
class Done:
    """What was done, or would be: in words, and for `--json`."""

    lines: list[Words]
    facts: dict[str, Any]


def rollback(settings: Settings) -> Done:
    """Let searches, and later runs, go to the index that was searched before the last rebuild; its manifest with it.
    The one that is left is kept.

    Raises:
        IndexingError: there is none, or none that this version can search; another es_index is running.
        DependencyDown: Elasticsearch does not answer.
    """
    need_several_indices(settings, "--rollback")
    from service_kit.passages.elastic_indices import open_indices  # noqa: PLC0415  # half a second to import

    with indexing_lock(settings.data), open_indices(settings) as indices:
        take_up(settings.data, index_ids(settings))  # a rebuild may have been killed before it could
        left, previous = indices.serving(), indices.previous()
        if left is None or previous is None:
            raise IndexingError("没有可以回退到的索引", "There is no index to go back to")
        if not indices.is_usable(previous):
            version, form = previous.meta.get("version", "?"), previous.meta.get("analysis", "?")
            raise IndexingError(
                f"上一个索引 {previous.name}（版本 {version}，分词 {form}）不能以此版本与 YIJU_ES_ANALYSIS 搜索",
                f"The previous index {previous.name} (version {version}, analysis {form}) can not be searched by this "
                "version of Yiju with this YIJU_ES_ANALYSIS",
            )
        if left.eased:
            indices.settle(left.name)
        indices.swap(previous.name)
        take_up(settings.data, index_ids(settings))
        passages = indices.sizes()[previous.name][0]
    return Done(
        [
            Words(
                f"已回退到 {previous.name}（{passages} 个段落）；{left.name} 仍保留。下次运行 es_index 即与文件一致",
                f"Back on {previous.name} ({passages} passages); {left.name} is kept. The next run of es_index brings "
                "it into agreement with the files",
            )
        ],
        {"index": previous.name, "left": left.name, "passages": passages},
    )


def prune(settings: Settings, *, yes: bool) -> Done:
    """Show the passages of the index that no manifest knows; with `yes`, remove them.

    Raises:
        IndexingError: the manifest is lost, so that nothing is known; another es_index is running.
        IndexUnavailable: there is no index.
    """
    with ExitStack() as stack:
        stack.enter_context(indexing_lock(settings.data))
        ids = index_ids(settings)
        take_up(settings.data, ids)
        reader = stack.enter_context(closing(open_reader(settings)))
        found = reader.ids()
        with closing(Manifest(settings.data)) as manifest:
            if ids.serving is None or not manifest.describes(ids.serving):
                raise IndexingError(
                    "清单（manifest.sqlite）已丢失或属于另一索引，无法判断哪些段落多余；请恢复清单，或用 --begin-anew",
                    "The manifest (manifest.sqlite) is lost or another index's, so that nothing can be told from it; "
                    "restore it, or use --begin-anew",
                )
            orphans = sorted(found - manifest.ids())
        shown = [
            passage
            for at in range(0, len(orphans), _FETCHED_AT_ONCE)
            for passage in reader.fetch(orphans[at : at + _FETCHED_AT_ONCE])
        ]
        if yes and orphans:
            writer = stack.enter_context(closing(open_writer(settings)))
            writer.delete(orphans)
            writer.commit()
    return Done([*map(_line, shown), _pruned(len(orphans), yes=yes)], {"orphans": orphans, "removed": yes})


def drop_old(settings: Settings, *, yes: bool) -> Done:
    """Show the indices that are not searched; with `yes`, remove them and their manifests.

    Raises:
        IndexingError: no index is searched; another es_index is running.
        DependencyDown: Elasticsearch does not answer.
    """
    need_several_indices(settings, "--drop-old")
    from service_kit.passages.elastic_indices import open_indices  # noqa: PLC0415  # half a second to import

    with indexing_lock(settings.data), open_indices(settings) as indices:
        take_up(settings.data, index_ids(settings))
        if indices.serving() is None:
            raise IndexingError("别名没有指向任何索引", "The alias points to no index")
        old = [one for one in indices.all() if not one.serving]
        sizes = indices.sizes()
        for one in old if yes else []:
            indices.delete(one.name)
            if "index_id" in one.meta:
                drop(settings.data, one.meta["index_id"])
    lines = [
        Words(f"{one.name}  {sizes[one.name][0]} 个段落", f"{one.name}  {sizes[one.name][0]} passages") for one in old
    ]
    if yes:
        lines.append(Words(f"已删除 {len(old)} 个旧索引", f"Removed {len(old)} old indices"))
    else:
        lines.append(Words(f"{len(old)} 个旧索引；加 --yes 删除", f"{len(old)} old indices; add --yes to remove them"))
    return Done(lines, {"indices": [one.name for one in old], "removed": yes})


def _line(passage: Passage) -> Words:
    return Words(*[f"{passage.id}  {passage.file or '?'}  {passage.title}"] * 2)


def _pruned(number: int, *, yes: bool) -> Words:
    if not number:
        return Words("没有清单不知道的段落", "There is no passage that no manifest knows")
    if yes:
        return Words(f"已移除 {number} 个清单不知道的段落", f"Removed {number} passages that no manifest knows")
    return Words(
        f"有 {number} 个清单不知道的段落；加 --yes 移除",
        f"{number} passages that no manifest knows; add --yes to remove",
    )
