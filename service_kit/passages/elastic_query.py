"""What is asked of Elasticsearch: bodies of requests, and the weights of a question's terms. Pure functions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from service_kit.passages.elastic_mapping import FIELDS, K1, Analysis
from service_kit.passages.filters import Filters
from service_kit.passages.weights import MAX_REPEATS, MAX_TERMS, WeighedTerm, inverse_document_frequency, weigh

SHORT = 200
"""Characters of a question that can be searched at once: it has fewer than MAX_TERMS terms of each kind."""


@dataclass(frozen=True)
class FieldTerms:
    """A question as one field has it: how often each of its terms occurs, and in how many passages it is; `documents`
    have the field."""

    documents: int
    repeats: Mapping[str, int]
    frequencies: Mapping[str, int]

    def bag(self) -> list[str]:
        """Each term as often as it occurs, as far as that counts."""
        return [term for term, repeats in self.repeats.items() for _ in range(min(repeats, MAX_REPEATS))]

    def frequency(self, term: str) -> int:
        return self.frequencies.get(term, 0)


@dataclass(frozen=True)
class Weights:
    """`clauses`: what is searched for, by field. `idf` of the terms of `analysis.py`. `best_possible`: the score of a
    passage that has everything."""

    clauses: Mapping[str, Sequence[WeighedTerm]]
    idf: Mapping[str, float]

    @property
    def best_possible(self) -> float:
        return (K1 + 1) * sum(term.repeats * term.idf for terms in self.clauses.values() for term in terms)


def term_vectors_body(
    form: Analysis, question: str, terms: Sequence[str], *, all_words: bool = False
) -> dict[str, Any]:
    """Asks how a question is cut and how rare its terms are, exactly, by the way of a document that is not stored.

    `all_words`: question words too.
    """
    if form == "client":
        doc = {"terms": " ".join(terms)}
        analyzers = {"terms": "whitespace"}
    else:
        doc = {"content": question}
        side = "passage" if all_words else "question"
        analyzers = {"content": f"{side}_words", "content.cjk": f"{side}_pairs"}
    return {
        "doc": doc,
        "fields": list(FIELDS[form]),
        "per_field_analyzer": analyzers,
        **{"positions": False, "offsets": False, "payloads": False},
        **{"term_statistics": True, "field_statistics": True},
    }


def field_terms(form: Analysis, response: Mapping[str, Any]) -> dict[str, FieldTerms]:
    """The answer to `term_vectors_body`; fields in which nothing is left of the question are not in it."""
    found = {}
    for field in FIELDS[form]:
        if vector := response.get("term_vectors", {}).get(field):
            repeats = {term: facts["term_freq"] for term, facts in vector["terms"].items()}
            frequencies = {term: facts.get("doc_freq", 0) for term, facts in vector["terms"].items()}
            found[field] = FieldTerms(vector.get("field_statistics", {}).get("doc_count", 0), repeats, frequencies)
    return found


def weights(form: Analysis, terms: Sequence[str], fields: Mapping[str, FieldTerms], *, short: bool) -> Weights:
    """What each term of the question counts; `terms`: as `question_terms` gives them. Of each field at most MAX_TERMS
    terms that are known. Of a long question in `ik`, only what both analyses cut alike."""
    if form == "client":
        clauses = {field: weigh(terms, one.documents, one.frequency) for field, one in fields.items()}
        return Weights(clauses, {term.term: term.idf for weighed in clauses.values() for term in weighed})
    documents = max((vector.documents for vector in fields.values()), default=0)
    weighed = weigh(terms, documents, _estimated_frequency(fields))
    if short:
        clauses = {field: weigh(one.bag(), one.documents, one.frequency) for field, one in fields.items()}
    else:
        clauses = {field: _in_field(weighed, one) for field, one in fields.items()}
    return Weights(clauses, {term.term: term.idf for term in weighed})


def _in_field(weighed: Sequence[WeighedTerm], field: FieldTerms) -> list[WeighedTerm]:
    """Those that the field's analysis cuts out of the question as well."""
    return [
        WeighedTerm(
            one.term,
            min(field.repeats[one.term], MAX_REPEATS),
            field.frequency(one.term),
            inverse_document_frequency(field.documents, field.frequency(one.term)),
        )
        for one in weighed
        if one.term in field.repeats
    ]


def scored_by_terms(found: Weights) -> dict[str, Any] | None:
    """The query for exactly these terms; None when the index has none of them."""
    clauses = [
        {"term": {field: {"value": term.term, "boost": term.repeats}}}
        for field, terms in found.clauses.items()
        for term in terms
        if term.frequency
    ]
    return {"bool": {"should": clauses}} if clauses else None


def scored_at_once(form: Analysis, question: str, terms: Sequence[str]) -> dict[str, Any] | None:
    """A query that needs no weights: the server cuts the question, or it has few terms. None when it is too long."""
    if len(question) > SHORT:
        return None
    if form == "ik":
        return {"multi_match": {"query": question, "type": "most_fields", "fields": list(FIELDS["ik"])}}
    counted = weigh(terms, 0, lambda _: 1)
    if not 0 < len(counted) < MAX_TERMS:
        return None
    clauses = [{"term": {"terms": {"value": term.term, "boost": term.repeats}}} for term in counted]
    return {"bool": {"should": clauses}}


def search_body(query: Mapping[str, Any], size: int) -> dict[str, Any]:
    """Equal scores come in the order of ids."""
    return {
        "query": query,
        "size": size,
        "sort": ["_score", "id"],
        "track_total_hits": False,
    }


def filtered(scored: Mapping[str, Any], filters: Filters, today: date) -> dict[str, Any]:
    """The scored query within what the filters allow."""
    conditions = filter_clauses(filters, today)
    return {"bool": {"must": [scored], "filter": conditions}} if conditions else dict(scored)


def bearing(
    conditions: Sequence[dict[str, Any]], scored: Mapping[str, Any] | None, filters: Filters, today: date
) -> dict[str, Any]:
    """All that meet the conditions, whatever their score."""
    query: dict[str, Any] = {"filter": [*conditions, *filter_clauses(filters, today)]}
    if scored is not None:
        query |= {"should": [scored], "minimum_should_match": 0}
    return {"bool": query}


def filter_clauses(filters: Filters, today: date) -> list[dict[str, Any]]:
    """As `Filters.allow` decides."""
    clauses: list[dict[str, Any]] = []
    if filters.issuer is not None:
        clauses.append({"term": {"issuers": filters.issuer_key or ""}})
    day = filters.day(today)
    ended: dict[str, Any] = {"range": {"ends": {"lte": day.isoformat()}}}
    undated: dict[str, Any] = {"term": {"repealed_undated": True}}
    if filters.wanted_status == "in_force":
        not_yet = {"range": {"begins": {"gt": day.isoformat()}}}
        # Before today, a repeal without a date may not have come yet.
        excluded = [ended, not_yet, *([undated] if day >= today else [])]
        clauses.append({"bool": {"must_not": excluded}})
    elif filters.wanted_status == "repealed":
        clauses.append({"bool": {"should": [ended, undated], "minimum_should_match": 1}})
    return clauses


def _estimated_frequency(fields: Mapping[str, FieldTerms]) -> Callable[[str], int]:
    """How many passages have a term of `analysis.py`, as far as the two fields of `ik` tell.

    Exact for two characters and for words that both cut. A longer word is at most as frequent as the rarest pair in
    it; a lone character that ik did not cut off counts as its most frequent pair in the question.
    """
    words, pairs = (fields[field].frequencies if field in fields else {} for field in FIELDS["ik"])
    most: dict[str, int] = {}  # of each character the frequency of its most frequent pair
    for pair, count in pairs.items():
        for char in pair:
            if most.get(char, 0) < count:
                most[char] = count

    def frequency(term: str) -> int:
        known = pairs.get(term)
        if known is None:
            known = words.get(term)
        if known is not None:
            return known
        if len(term) == 1:
            return most.get(term, 0)
        return min([pairs.get(term[at : at + 2], 0) for at in range(len(term) - 1)])

    return frequency
