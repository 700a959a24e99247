"""The query side of the embedded engine: tantivy, in this process."""

import logging
import threading
from collections.abc import Callable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import date
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
from service_kit.passages.embedded_search import CandidateSearch
from service_kit.passages.filters import NO_FILTERS, Filters
from service_kit.passages.index import Hit, Probe, SearchResult
from service_kit.passages.ordering import Candidate, as_hits, ordered
from service_kit.passages.passage import Passage
from service_kit.passages.references import named_in
from service_kit.passages.selftest import DEPTH, own_question, probe, probe_analysis, probe_found
from service_kit.passages.weights import MAX_QUESTION_LENGTH, WeighedTerm, weigh
from service_kit.words import Words

logger = logging.getLogger(__name__)

_WEIGHED = 64
"""Questions whose terms are remembered."""


@dataclass(frozen=True)
class _Snapshot:
    """The index as one commit left it; searching it needs no lock."""

    stamp: tuple[int, int, int]
    searcher: tantivy.Searcher
    documents: int
    weighed: dict[str, list[WeighedTerm]] = field(default_factory=dict, repr=False)
    """The terms of questions lately asked: a search by words and meaning asks each twice."""

    def terms(self, question: str) -> list[WeighedTerm]:
        """The question's terms with how much each counts."""
        known = self.weighed.get(question)
        if known is None:
            if len(self.weighed) >= _WEIGHED:
                self.weighed.clear()
            frequency = self.searcher.doc_freq
            known = weigh(question_terms(question), self.documents, lambda term: int(frequency("terms", term)))
            self.weighed[question] = known
        return known


class EmbeddedReader:
    """See `PassageReader`. Looks for a new commit before each search: one stat of a file."""

    def __init__(self, data: Path) -> None:
        self._directory = index_directory(data)
        self._schema = build_schema()
        self._lock = threading.Lock()
        self._current: _Snapshot | None = None

    def search(self, question: str, top_k: int, filters: Filters = NO_FILTERS) -> SearchResult:
        return self._answer(question, filters, top_k, lambda search: search.candidates(top_k))

    def score(self, question: str, ids: Sequence[str], filters: Filters = NO_FILTERS) -> tuple[Hit, ...]:
        return self._answer(question, filters, len(ids), lambda search: search.these(ids)).hits

    def fetch(self, ids: Sequence[str]) -> list[Passage]:
        with self._unusable_when_broken():
            searcher = self._filled_snapshot().searcher
            search = CandidateSearch(self._schema, searcher, (), named_in(""), NO_FILTERS, date.today())
            return [candidate.passage for candidate in search.these(ids)]

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

    def selftest(self) -> list[Probe]:
        analysis = probe_analysis()
        try:
            with self._unusable_when_broken():
                searcher = self._filled_snapshot().searcher
                at = searcher.search(tantivy.Query.all_query(), 1, count=False).hits[0][1]
                known = Passage.from_json(searcher.doc(at)["passage"][0])
            found = self.search(own_question(known), DEPTH).hits
        except IndexUnavailable as error:
            return [analysis, probe("index", ok=False, words=error.words)]
        size = Words(f"索引共有 {searcher.num_docs} 个段落", f"The index holds {searcher.num_docs} passages")
        return [analysis, probe("index", ok=True, words=size), probe_found(known, found)]

    def close(self) -> None:
        self._current = None

    def _answer(
        self, question: str, filters: Filters, top_k: int, find: Callable[[CandidateSearch], list[Candidate]]
    ) -> SearchResult:
        """Hits and idf of what `find` finds in the newest commit."""
        question = question[:MAX_QUESTION_LENGTH]
        today = date.today()
        references = named_in(question)
        with self._unusable_when_broken():
            snapshot = self._filled_snapshot()
            terms = snapshot.terms(question)
            candidates = find(CandidateSearch(self._schema, snapshot.searcher, terms, references, filters, today))
        idf = {term.term: term.idf for term in terms}
        best_possible = (K1 + 1) * sum(term.repeats * term.idf for term in terms)
        ranked = ordered(candidates, references, filters.day(today), top_k)
        return SearchResult(as_hits(ranked, question, idf, best_possible), idf)

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
