"""Whether Elasticsearch and its index can be trusted: never silently bad results."""

from collections.abc import Callable, Iterator
from typing import Any, Protocol

import elasticsearch
from elasticsearch import Elasticsearch

from service_kit.errors import DependencyDown, IndexUnavailable, YijuError
from service_kit.passages.elastic_connection import calling, no_index, unavailable
from service_kit.passages.elastic_indices import IK_MISSING, unusable
from service_kit.passages.elastic_mapping import TOKENIZER
from service_kit.passages.index import Probe, SearchResult
from service_kit.passages.ordering import Candidate
from service_kit.passages.selftest import (
    DEPTH,
    KNOWN_SENTENCE,
    own_question,
    probe,
    probe_analysis,
    probe_found,
)
from service_kit.settings import Settings
from service_kit.words import Words

LEAST_MAJOR = 8
SERVER_TERMS = ("专项", "债券", "偿还")
"""What ik cuts KNOWN_SENTENCE into, among others; single characters say that it is no Chinese analyzer."""


class Searched(Protocol):
    """What is tested: the part of `ElasticReader` that the probes use."""

    def count(self) -> int: ...

    def any_passage(self) -> Candidate: ...

    def search(self, question: str, top_k: int) -> SearchResult: ...


class ElasticSelfTest:
    """The probes, in their order; each is told of by an error with what to do."""

    def __init__(self, reader: Searched, client: Elasticsearch, settings: Settings) -> None:
        self._reader = reader
        self._client = client
        self._index = settings.es_index
        self._form = settings.es_analysis

    def check(self) -> dict[str, Any]:
        """Facts for `/readyz`.

        Raises:
            DependencyDown, IndexUnavailable: the first probe that fails.
        """
        for _ in self._passed():
            pass
        return {"engine": "elasticsearch", "analysis": self._form, "passages": self._reader.count()}

    def probes(self) -> list[Probe]:
        """See `PassageReader.selftest`."""
        found: list[Probe] = []
        names = iter(self._steps())
        passed = self._passed()
        for name in names:
            try:
                found.append(probe(name, ok=True, words=next(passed)))
            except YijuError as error:
                found.append(probe(name, ok=False, words=error.words))
                break
        return found

    def _steps(self) -> dict[str, Callable[[], Words]]:
        return {
            "server": self._server,
            "analysis": self._analysis,
            "index": self._passages,
            "search": self._search,
        }

    def _passed(self) -> Iterator[Words]:
        for step in self._steps().values():
            with calling(self._index):
                words = step()
            yield words

    def _server(self) -> Words:
        version = self._version()
        if int(version.split(".")[0]) < LEAST_MAJOR:
            raise DependencyDown(
                f"Elasticsearch 的版本是 {version}，需要 {LEAST_MAJOR} 或更新",
                f"Elasticsearch is of version {version}; {LEAST_MAJOR} or newer is needed",
            )
        return Words(f"Elasticsearch {version} 正常应答", f"Elasticsearch {version} answers")

    def _version(self) -> str:
        try:
            return str(self._client.info()["version"]["number"])
        except elasticsearch.ApiError as error:
            # 405: a server without that route; 403: a key that may only use its index.
            if error.status_code == 403:
                return f"{LEAST_MAJOR}.?"
            if error.status_code == 405:
                nodes = self._client.nodes.info(filter_path="nodes.*.version")["nodes"]
                return str(min(node["version"] for node in nodes.values()))
            if error.status_code in (400, 406):  # does not know the media type of version 8
                return "7"
            raise

    def _analysis(self) -> Words:
        if self._form == "client":
            own = probe_analysis()
            if not own["ok"]:
                raise IndexUnavailable(*own["message"].split(" / ", 1))
            terms = {"地方", "政府"}
            cut = self._cut("whitespace", " ".join(sorted(terms)))
        else:
            terms = set(SERVER_TERMS)
            cut = self._cut(TOKENIZER, KNOWN_SENTENCE)
        if not terms <= set(cut):
            raise IndexUnavailable(
                f"Elasticsearch 没有按中文分词：{cut}；请检查 ik 插件及其词典",
                f"Elasticsearch does not cut Chinese as it should: {cut}; check the ik plugin and its dictionary",
            )
        return Words("中文分词正常", "Chinese is cut into words")

    def _cut(self, analyzer: str, text: str) -> list[str]:
        try:
            return [token["token"] for token in self._client.indices.analyze(analyzer=analyzer, text=text)["tokens"]]
        except elasticsearch.BadRequestError as error:
            if analyzer in str(error.body):
                raise IndexUnavailable(*IK_MISSING) from None
            raise

    def _passages(self) -> Words:
        if not self._client.indices.exists(index=self._index):
            raise no_index(self._index)
        if not self._client.indices.exists_alias(name=self._index):
            raise unusable(self._client, self._index, self._form, self._index)
        count = self._reader.count()
        if not count:
            raise unavailable("索引是空的", "The index is empty")
        return Words(f"索引共有 {count} 个段落", f"The index holds {count} passages")

    def _search(self) -> Words:
        known = self._reader.any_passage().passage
        found = probe_found(known, self._reader.search(own_question(known), DEPTH).hits)
        words = Words(*found["message"].split(" / ", 1))
        if not found["ok"]:
            raise IndexUnavailable(*words)
        return words
