"""Physical indices behind their alias: made, swapped, rolled back, removed.

The alias is the setting `es_index`; the indices are called `<alias>-v<version>-<mapping hash>-<n>`, n growing.
"""

import re
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from typing import Any

import elasticsearch
from elasticsearch import Elasticsearch

from service_kit.errors import IndexingError, IndexUnavailable
from service_kit.passages.elastic_connection import calling, connect, unavailable
from service_kit.passages.elastic_mapping import (
    AT_REST,
    TOKENIZER,
    VERSION,
    WHILE_FILLED,
    Analysis,
    index_body,
    name_prefix,
)
from service_kit.passages.index import IndexIds
from service_kit.settings import Settings
from service_kit.words import Words

IK_MISSING = Words(
    "Elasticsearch 没有安装 ik 分词插件；请安装 analysis-ik，或设 YIJU_ES_ANALYSIS=client 后重新索引",
    "Elasticsearch lacks the ik plugin; install analysis-ik, or set YIJU_ES_ANALYSIS=client and index anew",
)


@dataclass(frozen=True)
class PhysicalIndex:
    """One index. `serving`: the alias points to it. `eased`: it has the settings of one that is being filled.
    `meta`: its id, version, analysis and `previous`, the name of the one that it took the place of, as far as it tells
    them."""

    name: str
    number: int
    meta: dict[str, str]
    serving: bool
    eased: bool


class Indices:
    """The indices of one alias. Every method may raise DependencyDown."""

    def __init__(self, client: Elasticsearch, alias: str, form: Analysis) -> None:
        self._client = client
        self._alias = alias
        self._form = form

    @property
    def prefix(self) -> str:
        """How the names of those begin that this version can search and write."""
        return name_prefix(self._alias, self._form)

    def all(self) -> list[PhysicalIndex]:
        """Every index of the alias, of other versions too, oldest first.

        Raises:
            IndexingError: an index, not an alias, has the name.
        """
        with calling(self._alias):
            found = self._client.indices.get(
                index=[self._alias, f"{self._alias}-v*"],
                filter_path="*.aliases,*.mappings._meta,*.settings.index.translog",
                ignore_unavailable=True,
                allow_no_indices=True,
            )
        if self._alias in found.body:
            raise IndexingError(
                f"Elasticsearch 中名为 {self._alias} 的是索引而不是别名，请改 YIJU_ES_INDEX",
                f"{self._alias} is an index in Elasticsearch, no alias; choose another YIJU_ES_INDEX",
            )
        indices = [self._described(name, facts) for name, facts in found.body.items()]
        return sorted((one for one in indices if one.number or one.serving), key=lambda one: (one.number, one.name))

    def serving(self) -> PhysicalIndex | None:
        """The one that the alias points to; None when there is none."""
        return next((one for one in self.all() if one.serving), None)

    def ids(self) -> IndexIds:
        """Of all indices, and of the serving one if this version can use it."""
        indices = self.all()
        serving = next((one.meta.get("index_id") for one in indices if one.serving and self.is_usable(one)), None)
        return IndexIds(serving, frozenset(one.meta["index_id"] for one in indices if "index_id" in one.meta))

    def is_usable(self, index: PhysicalIndex) -> bool:
        """Whether this version, with this analysis, can search and write it."""
        return index.name.startswith(self.prefix) and "index_id" in index.meta

    def unfinished(self) -> list[PhysicalIndex]:
        """What killed rebuilds left: half filled, never searched."""
        indices = self.all()
        newest_searched = max((one.number for one in indices if one.serving), default=0)
        return [one for one in indices if one.eased and one.number > newest_searched]

    def sizes(self) -> dict[str, tuple[int, int]]:
        """Passages and bytes of each index, by name."""
        with calling(self._alias):
            found = self._client.indices.stats(index=f"{self._alias}-v*", metric=["docs", "store"])["indices"]
        return {
            name: (one["primaries"]["docs"]["count"], one["total"]["store"]["size_in_bytes"])
            for name, one in found.items()
        }

    def create(self, index_id: str, *, replaces: bool = False) -> str:
        """A new empty index, not yet behind the alias, with settings for being filled: `settle` ends that. Returns its
        name. `replaces`: the serving one will be gone, so that the new one's previous is that one's."""
        indices = self.all()
        number = max((one.number for one in indices), default=0) + 1
        name = f"{self.prefix}{number}"
        serving = next((one for one in indices if one.serving), None)
        previous = (serving.meta.get("previous") if replaces else serving.name) if serving else None
        body = index_body(self._form, index_id)
        if previous:
            body["mappings"]["_meta"]["previous"] = previous
        with calling(self._alias):
            try:
                self._client.indices.create(index=name, **body)
            except elasticsearch.BadRequestError as error:
                if TOKENIZER in str(error.body):
                    raise IndexingError(*IK_MISSING) from None
                raise
        return name

    def swap(self, name: str) -> None:
        """Let the alias point to this index and no other, in one step: no search falls between."""
        old = [one.name for one in self.all() if one.serving and one.name != name]
        actions: list[dict[str, Any]] = [{"remove": {"index": one, "alias": self._alias}} for one in old]
        actions.append({"add": {"index": name, "alias": self._alias}})
        with calling(name):
            self._client.indices.update_aliases(actions=actions)

    def previous(self) -> PhysicalIndex | None:
        """The one whose place the serving one took; if that is gone, the newest that was made before."""
        indices = self.all()
        serving = next((one for one in indices if one.serving), None)
        if serving is None:
            return None
        older = [one for one in indices if one.number < serving.number and not one.eased]
        named = (one for one in indices if one.name == serving.meta.get("previous"))
        return next(named, older[-1] if older else None)

    def delete(self, name: str) -> None:
        """Remove an index for good; one that is gone already does no harm."""
        with calling(name):
            self._client.indices.delete(index=name, ignore_unavailable=True)

    def settle(self, name: str) -> None:
        """Give the index the settings that it has when nobody fills it, and write what it holds to the disk."""
        with calling(name):
            self._client.indices.put_settings(index=name, settings={"index": AT_REST})
            self._client.indices.flush(index=name)

    def _described(self, name: str, facts: dict[str, Any]) -> PhysicalIndex:
        number = re.fullmatch(rf"{re.escape(self._alias)}-v[0-9.]+-[0-9a-f]{{8}}-(\d+)", name)
        meta = facts.get("mappings", {}).get("_meta", {})
        translog = facts.get("settings", {}).get("index", {}).get("translog", {})
        return PhysicalIndex(
            name,
            number=int(number[1]) if number else 0,
            meta=meta,
            serving=self._alias in facts.get("aliases", {}),
            eased=translog.get("durability") == WHILE_FILLED["translog.durability"],
        )


@contextmanager
def open_indices(settings: Settings) -> Iterator[Indices]:
    """The indices that the settings name."""
    with closing(connect(settings)) as client:
        yield Indices(client, settings.es_index, settings.es_analysis)


def unusable(client: Elasticsearch, alias: str, form: Analysis, name: str) -> IndexUnavailable:
    """Why the index of this name, to which the alias leads, can not be searched."""
    if name == alias:
        return IndexUnavailable(
            f"Elasticsearch 中名为 {name} 的是索引而不是别名，请改 YIJU_ES_INDEX",
            f"{name} is an index in Elasticsearch, no alias; choose another YIJU_ES_INDEX",
        )
    mapping = client.indices.get_mapping(index=name).body[name]["mappings"]
    meta = mapping.get("_meta", {})
    version, built = meta.get("version", "?"), meta.get("analysis", "?")
    if version != VERSION:
        return unavailable(
            f"索引是另一版本的（{version}，需要 {VERSION}）",
            f"The index is of another version ({version}, needed is {VERSION})",
        )
    if built != form:
        return unavailable(
            f"索引是以 {built} 分词建立的，而 YIJU_ES_ANALYSIS={form}；请改设置，或重建索引",
            f"The index was built by the analysis {built}, but YIJU_ES_ANALYSIS={form}; change the setting, "
            "or build it anew",
        )
    return unavailable(
        f"索引的字段与此版本不符（{name}）", f"The fields of the index are not those of this version ({name})"
    )
