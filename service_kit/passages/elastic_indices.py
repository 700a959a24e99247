"""Physical indices behind their alias: made, swapped, rolled back, removed.

The alias is the setting `es_index`; the indices are called `<alias>-v<version>-<mapping hash>-<n>`, n growing.
"""

import re
from dataclasses import dataclass
from typing import Any

import elasticsearch
from elasticsearch import Elasticsearch

from service_kit.errors import IndexingError
from service_kit.passages.elastic_connection import calling
from service_kit.passages.elastic_mapping import AT_REST, TOKENIZER, WHILE_FILLED, Analysis, index_body, name_prefix
from service_kit.words import Words

IK_MISSING = Words(
    "Elasticsearch 没有安装 ik 分词插件；请安装 analysis-ik，或设 YIJU_ES_ANALYSIS=client 后重新索引",
    "Elasticsearch lacks the ik plugin; install analysis-ik, or set YIJU_ES_ANALYSIS=client and index anew",
)


@dataclass(frozen=True)
class PhysicalIndex:
    """One index. `serving`: the alias points to it. `eased`: it has the settings of one that is being filled.
    `meta`: its id, version and analysis, as far as it tells them."""

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

    def create(self, index_id: str) -> str:
        """A new empty index, not yet behind the alias, with settings for being filled: `settle` ends that. Returns its
        name."""
        number = max((one.number for one in self.all()), default=0) + 1
        name = f"{self.prefix}{number}"
        with calling(self._alias):
            try:
                self._client.indices.create(index=name, **index_body(self._form, index_id))
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
        """The newest one that was made before the serving one."""
        indices = self.all()
        serving = next((one for one in indices if one.serving), None)
        older = [one for one in indices if serving is None or one.number < serving.number]
        return older[-1] if older else None

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
