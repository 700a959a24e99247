"""Words and meaning together: which passages come into question, and what both say of each."""

from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import lru_cache
from typing import TYPE_CHECKING

from es_search.fusion import Candidate, Weights, added, ranks, reciprocal_ranks
from service_kit.deadline import Deadline
from service_kit.errors import YijuError
from service_kit.passages import Filters, Hit, PassageReader
from service_kit.passages.analysis import fold, passage_terms, question_terms

if TYPE_CHECKING:
    from service_kit.dense.index import DenseIndex
    from service_kit.dense.vector_index import Likeness

DEPTH = 100
"""Candidates that words give, and as many that meaning gives."""
ENOUGH_VECTORS = 0.5
"""Share of the candidates that must have vectors; with fewer (they are being made) words decide alone."""
WORTH_TRYING = ENOUGH_VECTORS / 2
"""Share of all passages that must have them; with fewer no search looks whether its own candidates have."""


class NotYet(YijuError):
    """Too few of the candidates have vectors; it never leaves the search."""

    def __init__(self) -> None:
        super().__init__("多数候选段落还没有向量", "Most candidates have no vectors yet")


@dataclass(frozen=True)
class Candidates:
    """Both top DEPTHs, each passage with both values: `hits`, `likeness` by id; `by_words`, `by_meaning` are ranks."""

    hits: Mapping[str, Hit]
    likeness: "Mapping[str, Likeness]"
    by_words: Mapping[str, int]
    by_meaning: Mapping[str, int]
    values: Sequence[Candidate]

    def scores(self, weights: Weights | None) -> dict[str, float]:
        """By id, best first; `weights` None: by reciprocal ranks. What the question names comes first whatever its
        score, in the order that words gave it."""
        scores = reciprocal_ranks(self.values) if weights is None else added(self.values, weights)
        named = [one for one in self.by_words if self.hits[one].exact]
        return {one: scores[one] for one in [*named, *ranks(scores)]}


def gather(
    reader: PassageReader,
    dense: "DenseIndex",
    question: str,
    by_words: Sequence[Hit],
    *,
    filters: Filters,
    deadline: Deadline,
) -> Candidates:
    """`by_words`: what words found, best first. What only one side found gets the other side's value, too.

    Raises:
        NotYet: few of them have vectors so far.
        DependencyDown, DeadlineExceeded: the question's vector can not be had, or not in time.
        VectorsMismatch: the vectors are another model's.
    """
    vector = dense.question(question, deadline)
    hits = {hit.id: hit for hit in by_words}
    near = dense.near(vector, DEPTH, list(hits), deadline)
    by_meaning = ranks({one: like.cosine for one, like in near.nearest.items()})
    likeness = near.nearest | near.given
    only_near = [one for one in likeness if one not in hits]
    if len(likeness) < ENOUGH_VECTORS * max(1, len(hits) + len(only_near)):  # even if words know all of these
        raise NotYet
    others = reader.score(question, only_near, filters)
    hits |= {hit.id: hit for hit in others}
    if len(likeness.keys() & hits.keys()) < ENOUGH_VECTORS * max(1, len(hits)):
        raise NotYet
    title_share = title_shares(question, next((hit.idf for hit in hits.values()), {}))
    values = [
        Candidate(
            one,
            hit.normalised_score * hit.factor,
            likeness[one].cosine if one in likeness else None,
            hit.passage.title,
            title_share(hit.passage.title),
        )
        for one, hit in hits.items()
    ]
    return Candidates(hits, likeness, {hit.id: n for n, hit in enumerate(by_words, 1)}, by_meaning, values)


def title_shares(question: str, idf: Mapping[str, float]) -> Callable[[str], float]:
    """A function that gives the share (0..1) of the question's words, weighed by rarity, that a title holds."""
    worth = {term: idf.get(term, 0.0) * times for term, times in Counter(question_terms(question)).items()}
    total, characters = sum(worth.values()), frozenset("".join(worth))

    def share(title: str) -> float:
        # Telling that it has no character of the question is a tenth of cutting it into words.
        if not total or characters.isdisjoint(fold(title)):
            return 0.0
        return sum(worth[term] for term in worth.keys() & _title_terms(title)) / total

    return share


@lru_cache(8192)
def _title_terms(title: str) -> frozenset[str]:
    return frozenset(passage_terms(title, ""))
