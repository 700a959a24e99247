"""What is asked of Elasticsearch: bodies of requests, and the weights of a question's terms. Pure functions."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import date
from typing import Any

from service_kit.passages.analysis import question_terms
from service_kit.passages.elastic_mapping import FIELDS, K1, Analysis
from service_kit.passages.filters import Filters
from service_kit.passages.weights import MAX_TERMS, WeighedTerm, weigh

SHORT_IK_QUESTION = 200
"""Characters up to which the server itself may cut a question: it has fewer than MAX_TERMS terms of each kind."""


@dataclass(frozen=True)
class FieldTerms:
    """A question as one field has it: its terms, each as often as it occurs, in the order of the question where that
    was asked for; in how many passages each one is; `documents` have the field."""

    documents: int
    terms: Sequence[str]
    frequencies: Mapping[str, int]

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


def term_vectors_body(form: Analysis, question: str, *, all_words: bool = False) -> dict[str, Any]:
    """Asks how a question is cut and how rare its terms are, exactly, by the way of a document that is not stored.

    `all_words`: question words too.
    """
    if form == "client":
        doc = {"terms": " ".join(question_terms(question))}
        analyzers = {"terms": "whitespace"}
    else:
        doc = {"content": question}
        side = "passage" if all_words else "question"
        analyzers = {"content": f"{side}_words", "content.cjk": f"{side}_pairs"}
    return {
        "doc": doc,
        "fields": list(FIELDS[form]),
        "per_field_analyzer": analyzers,
        # Of a long question those terms are kept that stand in a row, see `weigh`.
        **{"positions": form == "ik" and len(question) > SHORT_IK_QUESTION, "offsets": False, "payloads": False},
        **{"term_statistics": True, "field_statistics": True},
    }


def field_terms(form: Analysis, response: Mapping[str, Any]) -> dict[str, FieldTerms]:
    """The answer to `term_vectors_body`; fields in which nothing is left of the question are not in it."""
    found = {}
    for field in FIELDS[form]:
        if vector := response.get("term_vectors", {}).get(field):
            documents = vector.get("field_statistics", {}).get("doc_count", 0)
            frequencies = {term: facts.get("doc_freq", 0) for term, facts in vector["terms"].items()}
            found[field] = FieldTerms(documents, _in_order(vector["terms"]), frequencies)
    return found


def weights(form: Analysis, question: str, fields: Mapping[str, FieldTerms]) -> Weights:
    """What each term of the question counts. Of each field at most MAX_TERMS terms that are known."""
    if form == "client":
        terms = question_terms(question)
        clauses = {field: weigh(terms, one.documents, one.frequency) for field, one in fields.items()}
        return Weights(clauses, {term.term: term.idf for weighed in clauses.values() for term in weighed})
    clauses = {field: weigh(one.terms, one.documents, one.frequency) for field, one in fields.items()}
    documents = max((vector.documents for vector in fields.values()), default=0)
    idf = weigh(question_terms(question), documents, _estimated_frequency(fields))
    return Weights(clauses, {term.term: term.idf for term in idf})


def scored_by_terms(found: Weights) -> dict[str, Any] | None:
    """The query for exactly these terms; None when the index has none of them."""
    clauses = [
        {"term": {field: {"value": term.term, "boost": term.repeats}}}
        for field, terms in found.clauses.items()
        for term in terms
        if term.frequency
    ]
    return {"bool": {"should": clauses}} if clauses else None


def scored_at_once(form: Analysis, question: str) -> dict[str, Any] | None:
    """A query that needs no weights: the server cuts the question, or it has few terms. None when it is too long."""
    if form == "ik":
        if len(question) > SHORT_IK_QUESTION:
            return None
        return {"multi_match": {"query": question, "type": "most_fields", "fields": list(FIELDS["ik"])}}
    counted = weigh(question_terms(question), 0, lambda _: 1)
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
        "_source": {"excludes": ["terms"]},
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


def _in_order(terms: Mapping[str, Mapping[str, Any]]) -> list[str]:
    """Each term as often as it occurs; by position, if the answer has positions."""
    placed = [
        (token.get("position", 0), term)
        for term, facts in terms.items()
        for token in facts.get("tokens") or [{}] * facts["term_freq"]
    ]
    return [term for _, term in sorted(placed, key=lambda one: one[0])]


def _estimated_frequency(fields: Mapping[str, FieldTerms]) -> Callable[[str], int]:
    """How many passages have a term of `analysis.py`, as far as the two fields of `ik` tell.

    Exact for two characters and for words that both cut. A longer word is at most as frequent as the rarest pair in
    it; a lone character that ik did not cut off counts as its most frequent pair in the question.
    """
    words, pairs = (fields.get(field, FieldTerms(0, (), {})) for field in FIELDS["ik"])

    def frequency(term: str) -> int:
        if term in pairs.frequencies:
            return pairs.frequency(term)
        if term in words.frequencies:
            return words.frequency(term)
        if len(term) == 1:
            return max((pairs.frequency(pair) for pair in pairs.frequencies if term in pair), default=0)
        return min(pairs.frequency(term[at : at + 2]) for at in range(len(term) - 1))

    return frequency
