"""What the embedded engine asks tantivy: candidates by score, by filter, and by what a question names."""

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import date

import tantivy

from service_kit.passages.embedded_files import REPEALED, UNDATED, day_number
from service_kit.passages.filters import Filters
from service_kit.passages.ordering import SPARE, Candidate, lowest_share
from service_kit.passages.passage import Passage
from service_kit.passages.references import References
from service_kit.passages.weights import WeighedTerm

_SCORE_DIGITS = 4
"""Scores are single-precision sums whose last digits depend on the order of addition."""
_FIRST_LOOK = 8
"""Documents beyond `top_k` that are asked for at first, to see whether the last place is tied."""


@dataclass(frozen=True)
class CandidateSearch:
    """The searches for one question in one state of the index."""

    schema: tantivy.Schema
    searcher: tantivy.Searcher
    terms: Sequence[WeighedTerm]
    references: References
    filters: Filters
    today: date

    def candidates(self, top_k: int) -> list[Candidate]:
        """All that may be among the `top_k` best: `ordering.ordered` tells which are."""
        scored = self._scored_query()
        every = list(self._exact(scored, top_k))
        if scored is not None:
            every += self._best(self._filtered([(tantivy.Occur.Must, scored)]), top_k)
        documents = {(at.segment_ord, at.doc): (score, at) for score, at in every}
        return [self._read(score, at) for score, at in documents.values()]

    def these(self, ids: Sequence[str]) -> list[Candidate]:
        """Of these passages those that there are and that the filters allow; score 0 without any term."""
        if not ids:
            return []
        should = tantivy.Occur.Should
        named = [(should, tantivy.Query.term_query(self.schema, "id", one, "basic")) for one in dict.fromkeys(ids)]
        clauses = [(tantivy.Occur.Must, _free(tantivy.Query.boolean_query(named)))]
        if (scored := self._scored_query()) is not None:
            clauses.append((should, scored))
        return [self._read(score, at) for score, at in self._search(self._filtered(clauses), len(named))]

    def _best(self, query: tantivy.Query, top_k: int) -> list[tuple[float, tantivy.DocAddress]]:
        any_repealed = self.searcher.doc_freq("keys", REPEALED) > 0
        share = lowest_share(self.references, any_repealed=any_repealed)
        # tantivy breaks ties by position in the index, so all that tie with the last place must be seen.
        limit = top_k + (_FIRST_LOOK if share == 1.0 else SPARE)
        while True:
            found = self._search(query, limit)
            if len(found) < limit or found[-1][0] < found[top_k - 1][0]:
                break
            limit *= 4
        lowest = share * found[:top_k][-1][0] if found else 0.0
        return [one for one in found if one[0] >= lowest]

    def _exact(self, scored: tantivy.Query | None, top_k: int) -> list[tuple[float, tantivy.DocAddress]]:
        """The best of those that bear a 文号 or an article of the question."""
        found: list[tuple[float, tantivy.DocAddress]] = []
        for readings in self.references.doc_nos:
            keys = (f"no:{reading}" for reading in readings)
            if key := next((key for key in keys if self.searcher.doc_freq("keys", key)), None):
                articles = [f"article:{mention.article}" for mention in self.references.articles]
                found += self._bearing([key], scored, top_k)
                for article in articles:
                    found += self._bearing([key, article], scored, top_k)
        for mention in self.references.articles:
            found += self._bearing([f"article:{mention.article}"], scored, top_k)
        return found

    def _bearing(
        self, keys: Sequence[str], scored: tantivy.Query | None, top_k: int
    ) -> list[tuple[float, tantivy.DocAddress]]:
        clauses = [(tantivy.Occur.Must, _free(self._has(key))) for key in keys]
        if scored is not None:
            clauses.append((tantivy.Occur.Should, scored))
        return self._search(self._filtered(clauses), top_k + SPARE)

    def _search(self, query: tantivy.Query, limit: int) -> list[tuple[float, tantivy.DocAddress]]:
        hits = self.searcher.search(query, limit, count=False).hits
        return [(round(score, _SCORE_DIGITS), at) for score, at in hits]

    def _read(self, score: float, at: tantivy.DocAddress) -> Candidate:
        document = self.searcher.doc(at)
        return Candidate(Passage.from_json(document["passage"][0]), document["id"][0], score)

    def _scored_query(self) -> tantivy.Query | None:
        clauses = [
            (
                tantivy.Occur.Should,
                tantivy.Query.boost_query(
                    tantivy.Query.term_query(self.schema, "terms", term.term, "freq"), float(term.repeats)
                ),
            )
            for term in self.terms
            if term.frequency
        ]
        return tantivy.Query.boolean_query(clauses) if clauses else None

    def _filtered(self, clauses: list[tuple[tantivy.Occur, tantivy.Query]]) -> tantivy.Query:
        """The clauses, and those of the filters, which add nothing to a score."""
        clauses = clauses + self._filter_clauses()
        return tantivy.Query.boolean_query(clauses) if len(clauses) > 1 else clauses[0][1]

    def _filter_clauses(self) -> list[tuple[tantivy.Occur, tantivy.Query]]:
        must, must_not = tantivy.Occur.Must, tantivy.Occur.MustNot
        clauses = []
        if self.filters.issuer is not None:
            clauses.append((must, _free(self._has(f"issuer:{self.filters.issuer_key}"))))
        day = self.filters.day(self.today)
        ended = self._between("ends", None, day_number(day))
        if self.filters.wanted_status == "in_force":
            clauses.append((must, _free(self._between("begins", None, day_number(day)))))
            clauses.append((must_not, ended))
            if day >= self.today:  # before, a repeal without a date may not have come yet
                clauses.append((must_not, self._has(UNDATED)))
        elif self.filters.wanted_status == "repealed":
            either = [(tantivy.Occur.Should, ended), (tantivy.Occur.Should, self._has(UNDATED))]
            clauses.append((must, _free(tantivy.Query.boolean_query(either))))
        return clauses

    def _has(self, key: str) -> tantivy.Query:
        return tantivy.Query.term_query(self.schema, "keys", key, "basic")

    def _between(self, field: str, lowest: int | None, highest: int | None) -> tantivy.Query:
        return tantivy.Query.range_query(self.schema, field, tantivy.FieldType.Unsigned, lowest, highest)


def _free(query: tantivy.Query) -> tantivy.Query:
    """A condition that adds nothing to the score."""
    return tantivy.Query.const_score_query(query, 0.0)
