"""The query side of the embedded engine: tantivy, in this process."""

import logging
import threading
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import tantivy

from service_kit.errors import IndexUnavailable
from service_kit.passages.analysis import question_terms
from service_kit.passages.embedded_files import (
    K1,
    VERSION,
    build_schema,
    commit_stamp,
    documents_ever,
    index_directory,
    read_marker,
)
from service_kit.passages.index import Hit, SearchResult
from service_kit.passages.passage import Passage
from service_kit.passages.weights import WeighedTerm, weigh

logger = logging.getLogger(__name__)

MAX_QUESTION_LENGTH = 50_000
"""Characters of a question that are looked at; with them a search stays well under a second."""

_SCORE_DIGITS = 4
"""Scores are single-precision sums whose last digits depend on the order of addition."""


@dataclass(frozen=True)
class _Snapshot:
    """The index as one commit left it; searching it needs no lock."""

    stamp: tuple[int, int, int]
    searcher: tantivy.Searcher
    documents: int


class EmbeddedReader:
    """See `PassageReader`. Looks for a new commit before each search: one stat of a file."""

    def __init__(self, data: Path) -> None:
        self._directory = index_directory(data)
        self._schema = build_schema()
        self._lock = threading.Lock()
        self._current: _Snapshot | None = None

    def search(self, question: str, top_k: int) -> SearchResult:
        with self._unusable_when_broken():
            snapshot = self._filled_snapshot()
            searcher = snapshot.searcher
            weighed = weigh(
                question_terms(question[:MAX_QUESTION_LENGTH]),
                snapshot.documents,
                lambda term: int(searcher.doc_freq("terms", term)),
            )
            best_possible = (K1 + 1) * sum(term.repeats * term.idf for term in weighed)
            hits = tuple(
                Hit(
                    Passage.from_json(document["passage"][0]), document["id"][0], score, min(1.0, score / best_possible)
                )
                for score, document in self._best(searcher, weighed, top_k)
            )
        return SearchResult(hits, {term.term: term.idf for term in weighed})

    def score(self, question: str, ids: Sequence[str]) -> tuple[Hit, ...]:
        with self._unusable_when_broken():
            snapshot = self._filled_snapshot()
            searcher = snapshot.searcher
            weighed = weigh(
                question_terms(question[:MAX_QUESTION_LENGTH]),
                snapshot.documents,
                lambda term: int(searcher.doc_freq("terms", term)),
            )
            best_possible = (K1 + 1) * sum(term.repeats * term.idf for term in weighed)
            return tuple(
                Hit(
                    Passage.from_json(document["passage"][0]),
                    document["id"][0],
                    score,
                    min(1.0, score / best_possible) if best_possible else 0.0,
                )
                for score, document in self._these(searcher, weighed, ids)
            )

    def fetch(self, ids: Sequence[str]) -> list[Passage]:
        with self._unusable_when_broken():
            found = self._these(self._filled_snapshot().searcher, (), ids)
            return [Passage.from_json(document["passage"][0]) for _, document in found]

    def ids(self) -> set[str]:
        with self._unusable_when_broken():
            searcher = self._snapshot().searcher
            found = searcher.search(tantivy.Query.all_query(), max(1, int(searcher.num_docs)), count=False).hits
            return {searcher.doc(at)["id"][0] for _, at in found}

    def version(self) -> object:
        with self._unusable_when_broken():
            return self._snapshot().stamp

    def count(self) -> int:
        with self._unusable_when_broken():
            return int(self._snapshot().searcher.num_docs)

    def check(self) -> dict[str, Any]:
        with self._unusable_when_broken():
            return {"engine": "embedded", "passages": int(self._filled_snapshot().searcher.num_docs)}

    def close(self) -> None:
        self._current = None

    def _best(
        self, searcher: tantivy.Searcher, weighed: Sequence[WeighedTerm], top_k: int
    ) -> list[tuple[float, tantivy.Document]]:
        """The `top_k` best documents with their scores; equal scores in the order of their ids."""
        clauses = self._clauses(weighed)
        if not clauses:
            return []
        query = tantivy.Query.boolean_query(clauses)
        # tantivy breaks ties by position in the index, so all that tie with the last place must be seen.
        limit = top_k + 8
        while True:
            found = [(round(score, _SCORE_DIGITS), at) for score, at in searcher.search(query, limit, count=False).hits]
            if len(found) < limit or found[-1][0] < found[top_k - 1][0]:
                break
            limit *= 4
        last_place = found[:top_k][-1][0] if found else 0.0
        documents = [(score, searcher.doc(at)) for score, at in found if score >= last_place]
        return sorted(documents, key=lambda one: (-one[0], one[1]["id"][0]))[:top_k]

    def _these(
        self, searcher: tantivy.Searcher, weighed: Sequence[WeighedTerm], ids: Sequence[str]
    ) -> list[tuple[float, tantivy.Document]]:
        """The documents of these ids with their scores, 0 for one without any of the terms."""
        if not ids:
            return []
        named = [
            (tantivy.Occur.Should, tantivy.Query.term_query(self._schema, "id", one, "basic"))
            for one in dict.fromkeys(ids)
        ]
        # Being one of them is worth nothing, so that the score is the terms' alone.
        clauses = [(tantivy.Occur.Must, tantivy.Query.boost_query(tantivy.Query.boolean_query(named), 0.0))]
        if terms := self._clauses(weighed):
            clauses.append((tantivy.Occur.Should, tantivy.Query.boolean_query(terms)))
        found = searcher.search(tantivy.Query.boolean_query(clauses), len(named), count=False).hits
        return [(round(score, _SCORE_DIGITS), searcher.doc(at)) for score, at in found]

    def _clauses(self, weighed: Sequence[WeighedTerm]) -> list[tuple[tantivy.Occur, tantivy.Query]]:
        return [
            (
                tantivy.Occur.Should,
                tantivy.Query.boost_query(
                    tantivy.Query.term_query(self._schema, "terms", term.term, "freq"), float(term.repeats)
                ),
            )
            for term in weighed
            if term.frequency
        ]

    def _filled_snapshot(self) -> _Snapshot:
        snapshot = self._snapshot()
        if not snapshot.searcher.num_docs:
            raise _unavailable("索引是空的", "The index is empty")
        return snapshot

    def _snapshot(self) -> _Snapshot:
        """The newest commit, opened when it is not yet."""
        try:
            stamp = commit_stamp(self._directory)
        except OSError:
            raise _unavailable("还没有索引", "There is no index yet") from None
        current = self._current
        if current is None or current.stamp != stamp:
            with self._lock:
                current = self._current
                if current is None or current.stamp != stamp:
                    self._current = current = self._open()
        return current

    def _open(self) -> _Snapshot:
        marker = read_marker(self._directory)
        if marker is None:
            raise _unavailable("索引不完整", "The index is incomplete")
        if marker.version != VERSION:
            raise _unavailable(
                f"索引是另一版本的（{marker.version}，需要 {VERSION}）",
                f"The index is of another version ({marker.version}, needed is {VERSION})",
            )
        while True:  # until no commit falls between the two reads
            stamp = commit_stamp(self._directory)
            index = tantivy.Index.open(str(self._directory))
            index.config_reader("manual")
            documents = documents_ever(self._directory)
            if stamp == commit_stamp(self._directory):
                return _Snapshot(stamp, index.searcher(), documents)

    @contextmanager
    def _unusable_when_broken(self) -> Iterator[None]:
        """Damaged files are told of by ValueError or OSError, or by a panic, which is no Exception."""
        try:
            yield
        except BaseException as error:
            if not isinstance(error, (ValueError, OSError)) and type(error).__name__ != "PanicException":
                raise
            logger.exception("the index can not be read")
            if isinstance(error, OSError) or "os error" in str(error).lower():  # too many open files, a lost mount
                raise IndexUnavailable(
                    f"索引暂时读不了：{error}", f"The index can not be read at the moment: {error}", retry_after=5
                ) from None
            # es_index would take a damaged file for a good one: only without the directory it begins anew.
            raise _unavailable(
                f"索引已损坏，请删除 {self._directory}", f"The index is damaged; delete {self._directory}"
            ) from None


def _unavailable(zh: str, en: str) -> IndexUnavailable:
    return IndexUnavailable(f"{zh}，请运行 python -m es_index 目录", f"{en}; run python -m es_index DIR", retry_after=5)
