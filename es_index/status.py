"""What the index holds and what it was made of: `--status`."""

from collections.abc import Iterator
from contextlib import closing
from typing import Any

from es_index.scan import readable_name
from service_kit.errors import IndexingError, IndexUnavailable
from service_kit.passages import IndexIds, index_ids, open_reader
from service_kit.passages.manifests import peek
from service_kit.settings import Settings
from service_kit.words import Words

NO_IDS = IndexIds(None, frozenset())


def status(settings: Settings) -> dict[str, Any]:
    """The index and the directories it was made of. `passages` is None without a usable index, and `trouble` says why;
    `unsettled` counts passages that an interrupted run left for the next one; `known_passages` is None when the
    manifest is lost. With Elasticsearch also `alias` and `indices`, oldest first."""
    shown: dict[str, Any] = {"engine": settings.search, "passages": None, "trouble": None}
    ids = NO_IDS
    with closing(open_reader(settings)) as reader:
        try:
            ids = index_ids(settings)
            if settings.search == "elasticsearch":
                shown |= {"alias": settings.es_index, "indices": _indices(settings)}
            shown["passages"] = reader.count()
        except (IndexingError, IndexUnavailable) as error:
            shown["trouble"] = error.words._asdict()
    manifest = peek(settings.data, ids)
    if manifest is None:
        return shown | {"known_passages": None, "directories": {}, "unsettled": 0}
    with closing(manifest):
        is_its = ids.serving is None or manifest.describes(ids.serving)
        directories = manifest.directories() if is_its else []
        return shown | {
            "known_passages": manifest.passages() if is_its else None,
            "directories": {readable_name(one): len(manifest.files(one)) for one in directories},
            "unsettled": sum(len(manifest.pending(one)) for one in directories),
        }


def lines(facts: dict[str, Any]) -> Iterator[Words]:
    """The status as people read it."""
    if facts["trouble"]:
        yield Words(**facts["trouble"])
    else:
        passages, engine = facts["passages"], facts["engine"]
        yield Words(
            f"索引共有 {passages} 个段落，引擎 {engine}", f"The index holds {passages} passages, engine {engine}"
        )
    if "alias" in facts:
        yield Words(f"别名 {facts['alias']}", f"alias {facts['alias']}")
        for one in facts["indices"]:
            mark = "→" if one["serving"] else " "
            megabytes = f"{one['bytes'] / 1e6:.1f} MB"
            yield Words(
                f"{mark} {one['name']}  {one['passages']} 个段落  {megabytes}" + "  （未完成）" * one["unfinished"],
                f"{mark} {one['name']}  {one['passages']} passages  {megabytes}" + "  (unfinished)" * one["unfinished"],
            )
    for directory, files in facts["directories"].items():
        yield Words(*[f"{files:>9}  {directory}"] * 2)
    known = facts["known_passages"]
    if known is None and facts["passages"]:
        yield Words(
            "记录段落来源的清单（manifest.sqlite）已丢失",
            "The manifest of where passages come from (manifest.sqlite) is lost",
        )
    elif facts["unsettled"] or facts["passages"] not in (None, known):
        yield Words(
            f"清单记有 {known} 个段落，{facts['unsettled']} 个待处理；请再运行一次 es_index；仍不一致则用 --prune",
            f"The manifest knows {known} passages, {facts['unsettled']} of them unsettled; run es_index again, and if "
            "that does not help, --prune",
        )


def _indices(settings: Settings) -> list[dict[str, Any]]:
    from service_kit.passages.elastic_indices import open_indices  # noqa: PLC0415  # half a second to import

    with open_indices(settings) as indices:
        sizes = indices.sizes()
        unfinished = {one.name for one in indices.unfinished()}
        return [
            {
                "name": one.name,
                "serving": one.serving,
                "passages": sizes.get(one.name, (0, 0))[0],
                "bytes": sizes.get(one.name, (0, 0))[1],
                "unfinished": one.name in unfinished,
            }
            for one in indices.all()
        ]
