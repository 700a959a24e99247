"""The query side of Elasticsearch."""

import threading
import time
from collections.abc import Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from datetime import date
from typing import Any

import elasticsearch
from elasticsearch.helpers import scan

from service_kit.errors import DependencyDown, IndexUnavailable
from service_kit.passages.analysis import question_terms
from service_kit.passages.elastic_connection import calling, connect, unavailable
from service_kit.passages.elastic_indices import unusable
from service_kit.passages.elastic_mapping import name_prefix, passage_of
from service_kit.passages.elastic_query import (
    SHORT,
    Weights,
    bearing,
    field_terms,
    filtered,
    scored_at_once,
    scored_by_terms,
    search_body,
    term_vectors_body,
    weights,
)
from service_kit.passages.elastic_selftest import ElasticSelfTest
from service_kit.passages.filters import NO_FILTERS, Filters
from service_kit.passages.index import Hit, Probe, SearchResult
from service_kit.passages.ordering import SPARE, Candidate, as_hits, ordered, settled
from service_kit.passages.passage import Passage
from service_kit.passages.references import References, named_in
from service_kit.passages.weights import MAX_QUESTION_LENGTH
from service_kit.settings import Settings

_PAGE = 5000
"""Ids of one page, when all are asked for."""
_SAME_SEARCH_S = 1.0
"""For so long after a search a score of the same question belongs to it."""
_SCORE_DIGITS = 4
"""Scores are single-precision sums whose last digits depend on the order of addition."""


@dataclass(frozen=True)
class _Asked:
    """One question on its way."""

    question: str
    terms: Sequence[str]
    top_k: int
    filters: Filters
    references: References
    today: date

    @property
    def size(self) -> int:
        return self.top_k + SPARE


class ElasticReader:
    """See `PassageReader`. Each search sees the index as it is; only the weights of a thread's last question are kept
    for a moment, for `score` to weigh further passages of the same search by the same numbers."""

    def __init__(self, settings: Settings) -> None:
        self._index = settings.es_index
        self._form = settings.es_analysis
        self._prefix = name_prefix(self._index, self._form)
        self._client = connect(settings)
        # Each search asks for the rarity of its terms while the server searches.
        self._beside = ThreadPoolExecutor(settings.search_threads, "term-vectors")
        self._last = threading.local()
        self._tests = ElasticSelfTest(self, self._client, settings)

    def search(self, question: str, top_k: int, filters: Filters = NO_FILTERS) -> SearchResult:
        question = question[:MAX_QUESTION_LENGTH]
        asked = _Asked(question, question_terms(question), top_k, filters, named_in(question), date.today())
        with calling(self._index):
            found, candidates = self._candidates(asked)
        self._last.weighed = question, found, time.monotonic()
        ranked = ordered(candidates, asked.references, filters.day(asked.today), top_k)
        return SearchResult(as_hits(ranked, question, found.idf, found.best_possible), found.idf)

    def score(self, question: str, ids: Sequence[str], filters: Filters = NO_FILTERS) -> tuple[Hit, ...]:
        if not ids:
            return ()
        question = question[:MAX_QUESTION_LENGTH]
        asked = _Asked(question, question_terms(question), len(ids), filters, named_in(question), date.today())
        with calling(self._index):
            found = self._weights_of_late(question) or self._weights(asked)
            query = bearing([_these(ids)], scored_by_terms(found), filters, asked.today)
            candidates = self._hits(self._search_hits(query, len(ids)))
        ranked = ordered(candidates, asked.references, filters.day(asked.today), len(ids))
        return as_hits(ranked, question, found.idf, found.best_possible)

    def fetch(self, ids: Sequence[str]) -> list[Passage]:
        with calling(self._index):
            query = bearing([_these(ids)], None, NO_FILTERS, date.today())
            return [candidate.passage for candidate in self._hits(self._search_hits(query, len(ids)))]

    def ids(self) -> set[str]:
        with calling(self._index):
            self._usable_name()
            return {hit["_id"] for hit in scan(self._client, index=self._index, query={"_source": False}, size=_PAGE)}

    def version(self) -> object:
        with calling(self._index):
            self._usable_name()
            shards = self._client.indices.stats(index=self._index, level="shards")["indices"]
            return sorted(
                (name, shard[0]["seq_no"]["max_seq_no"], shard[0]["refresh"]["external_total"])
                for name, one in shards.items()
                for shard in one["shards"].values()
            )

    def count(self) -> int:
        with calling(self._index):
            self._usable_name()
            return int(self._client.count(index=self._index)["count"])

    def check(self) -> dict[str, Any]:
        return self._tests.check()

    def selftest(self) -> list[Probe]:
        return self._tests.probes()

    def close(self) -> None:
        self._beside.shutdown()
        self._client.close()

    def any_passage(self) -> Candidate:
        """Some passage of the index.

        Raises:
            IndexUnavailable: it has none.
        """
        with calling(self._index):
            found = self._hits(self._client.search(index=self._index, size=1, sort=["_doc"])["hits"]["hits"])
        if not found:
            raise _empty()
        return found[0]

    def _candidates(self, asked: _Asked) -> tuple[Weights, list[Candidate]]:
        """All that may be among the best: `ordering.ordered` tells which are."""
        scored = scored_at_once(self._form, asked.question, asked.terms)
        names = asked.references.doc_nos or asked.references.articles
        if scored is None or names:
            found = self._weights(asked)
            scored = scored_by_terms(found)
            if not names:
                return found, self._best(scored, asked) if scored else []
            queries = self._exact(scored, asked)
            if scored:
                queries.append(filtered(scored, asked.filters, asked.today))
            return found, self._all(queries, asked.size)
        beside = self._beside.submit(self._weights, asked)
        try:
            hits = self._best(scored, asked)
        finally:
            # Awaited in any case: it tells of an unusable index.
            found = beside.result()
        if not hits and (by_terms := scored_by_terms(found)):  # question words only
            hits = self._best(by_terms, asked)
        return found, hits

    def _weights_of_late(self, question: str) -> Weights | None:
        """Those of this thread's last search, if it was for this question and just now."""
        last, found, at = getattr(self._last, "weighed", ("", None, 0.0))
        return found if last == question and time.monotonic() - at < _SAME_SEARCH_S else None

    def _weights(self, asked: _Asked) -> Weights:
        """Raises IndexUnavailable when there is no usable index, or it is empty."""
        fields = {}
        for all_words in (False, True):  # a question of question words only is about them
            body = term_vectors_body(self._form, asked.question, asked.terms, all_words=all_words)
            try:
                response = self._client.termvectors(index=self._index, **body).body
            except elasticsearch.ApiError:  # an index of other fields, maybe
                self._usable_name()
                raise
            self._check_name(response["_index"])
            fields = field_terms(self._form, response)
            if fields or self._form == "client":
                break
        if not all(vector.documents > 0 for vector in fields.values()) or (not fields and not self.count()):
            raise _empty()
        return weights(self._form, asked.terms, fields, short=len(asked.question) <= SHORT)

    def _search_hits(self, query: Mapping[str, Any], size: int) -> list[Any]:
        hits: list[Any] = self._client.search(index=self._index, **search_body(query, size))["hits"]["hits"]
        return hits

    def _best(self, scored: Mapping[str, Any], asked: _Asked) -> list[Candidate]:
        """Spare candidates are fetched only where one of them may take a place: each costs the server's reading of a
        whole passage."""
        query = filtered(scored, asked.filters, asked.today)
        if asked.references:
            return self._hits(self._search_hits(query, asked.size))
        few = self._hits(self._search_hits(query, asked.top_k + 1))
        if settled(few, asked.filters.day(asked.today), asked.top_k):
            return few
        return self._hits(self._search_hits(query, asked.size))

    def _all(self, queries: Sequence[Mapping[str, Any]], size: int) -> list[Candidate]:
        """The best of each query, in one request: the server works on several at the same time."""
        if len(queries) < 2:
            return [one for query in queries for one in self._hits(self._search_hits(query, size))]
        searches = [part for query in queries for part in ({}, search_body(query, size))]
        answers = self._client.msearch(index=self._index, searches=searches)["responses"]
        for answer in answers:
            if "error" in answer:
                why = str(answer["error"].get("reason"))[:300]
                raise DependencyDown(f"Elasticsearch 出错：{why}", f"Elasticsearch fails: {why}", retry_after=5)
        return [hit for answer in answers for hit in self._hits(answer["hits"]["hits"])]

    def _exact(self, scored: Mapping[str, Any] | None, asked: _Asked) -> list[dict[str, Any]]:
        """Queries for those that bear a 文号 or an article of the question."""
        articles = [{"term": {"articles": mention.article}} for mention in asked.references.articles]
        wanted = [[article] for article in articles]
        for number in self._numbers_held(asked.references.doc_nos):
            bears = {"term": {"numbers": number}}
            wanted += [[bears], *([bears, article] for article in articles)]
        return [bearing(conditions, scored, asked.filters, asked.today) for conditions in wanted]

    def _numbers_held(self, doc_nos: Sequence[Sequence[str]]) -> list[str]:
        """Of each 文号 the longest reading that a passage bears."""
        readings = [reading for number in doc_nos for reading in number]
        if not readings:
            return []
        terms = {"field": "numbers", "include": readings, "size": len(readings)}
        answer = self._client.search(index=self._index, size=0, aggs={"held": {"terms": terms}})
        held = {bucket["key"] for bucket in answer["aggregations"]["held"]["buckets"]}
        longest = (next((one for one in number if one in held), None) for number in doc_nos)
        return [one for one in longest if one is not None]

    def _hits(self, found: Sequence[Mapping[str, Any]]) -> list[Candidate]:
        for hit in found[:1]:
            self._check_name(hit["_index"])
        return [
            Candidate(passage_of(hit["_source"]), hit["_id"], round(hit.get("_score") or 0.0, _SCORE_DIGITS))
            for hit in found
        ]

    def _usable_name(self) -> None:
        """Raises IndexUnavailable when the alias leads nowhere or to an index that can not be searched."""
        for name in self._client.indices.get_alias(name=self._index).body:
            self._check_name(name)

    def _check_name(self, name: str) -> None:
        if not name.startswith(self._prefix):
            raise unusable(self._client, self._index, self._form, name)


def _these(ids: Sequence[str]) -> dict[str, Any]:
    return {"ids": {"values": list(ids)}}


def _empty() -> IndexUnavailable:
    return unavailable("索引是空的", "The index is empty")
