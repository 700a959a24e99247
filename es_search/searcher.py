"""How a question is searched: by words, by meaning, both weighed together, the best ones read again."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Literal

from es_search.fusion import Candidate, Weights, added, ranks, reciprocal_ranks
from es_search.rerank import Reranker, rerank
from service_kit.deadline import Deadline
from service_kit.errors import YijuError
from service_kit.passages import NO_FILTERS, Filters, Hit, PassageReader
from service_kit.passages.ordering import factor
from service_kit.passages.references import named_in
from service_kit.settings import Settings
from service_kit.words import Words

if TYPE_CHECKING:
    from service_kit.dense.index import DenseIndex, Likeness

logger = logging.getLogger(__name__)

DEPTH = 100
"""Candidates that words give, and as many that meaning gives."""
ENOUGH_VECTORS = 0.5
"""Share of the candidates that must have vectors; with fewer (they are being made) words decide alone."""

Mode = Literal["lexical", "hybrid", "reranked"]
Stage = Literal["lexical", "dense", "fused", "reranked"]


@dataclass(frozen=True)
class Ranked:
    """A hit and how it got its place. `dense` is the cosine of its best window, `window` which one (from 0); None
    without vectors. `score` is what the last stage gave it; `ranks`, from 1, those of each stage that it was in."""

    hit: Hit
    score: float
    dense: float | None = None
    window: int | None = None
    ranks: Mapping[Stage, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Found:
    """What a search gives. `skipped` says of each stage that should have been done and was not, why."""

    hits: tuple[Ranked, ...]
    idf: Mapping[str, float]
    mode: Mode
    skipped: Mapping[str, Words]


@dataclass(frozen=True)
class _Fused:
    """Candidates by id, best first, and what is known of each."""

    hits: Mapping[str, Hit]
    likeness: "Mapping[str, Likeness]"
    scores: Mapping[str, float]
    ranks: Mapping[Stage, Mapping[str, int]]


class Searcher:
    """Searches; safe to share between threads. Only words can fail a search: all else is done without."""

    def __init__(
        self,
        settings: Settings,
        reader: PassageReader,
        dense: "DenseIndex | None",
        reranker: Reranker | None,
        fault: YijuError | None = None,
    ) -> None:
        """`fault`: why there is no `dense` although there should be."""
        self._settings = settings
        self._reader = reader
        self._dense = dense
        self._reranker = reranker
        self._skipped = {"dense": fault.words} if fault else {}
        self._weights = Weights.of(settings)

    def search(self, question: str, top_k: int, deadline: Deadline, filters: Filters = NO_FILTERS) -> Found:
        """The `top_k` best passages.

        Raises:
            IndexUnavailable: as PassageReader.
            DeadlineExceeded: not even words were in time.
        """
        if self._dense is None and self._reranker is None:
            result = self._reader.search(question, top_k, filters)
            hits = tuple(Ranked(hit, hit.score, ranks={"lexical": n}) for n, hit in enumerate(result.hits, 1))
            return Found(hits, result.idf, "lexical", self._skipped)
        result = self._reader.search(question, max(DEPTH, top_k), filters)
        skipped = dict(self._skipped)
        mode: Mode = "lexical"
        fused = _words_only(result.hits)
        if self._dense is not None:
            try:
                fused, mode = self._fuse(self._dense, question, result.hits, deadline, filters), "hybrid"
            except YijuError as error:
                if not isinstance(error, _NotYet):
                    logger.warning("searched by words only: %s", error)
                skipped["dense"] = error.words
        order = list(fused.scores)
        scores, stages = dict(fused.scores), dict(fused.ranks)
        if self._reranker is not None and order:
            named = [one for one in order if fused.hits[one].exact]
            head = [one for one in order if one not in named][: self._settings.rerank_depth]
            texts = {one: fused.hits[one].passage.content for one in head}
            again = rerank(self._reranker, question, texts, self._settings.rerank_budget_s, deadline)
            if again.skipped:
                skipped["rerank"] = again.skipped
            if again.scores:
                mode = "reranked"
                order = named + again.order + order[len(named) + len(head) :]
                stages["reranked"] = {one: n for n, one in enumerate(again.order, 1)}
                scores.update(again.scores)
        deadline.remaining()
        return Found(tuple(_ranked(one, fused, scores, stages) for one in order[:top_k]), result.idf, mode, skipped)

    def _fuse(self, dense: "DenseIndex", question: str, by_words: tuple[Hit, ...], deadline: Deadline) -> _Fused:
        """Both top DEPTHs, each passage with both values, weighed together."""
        vector = dense.question(question, deadline.sooner(self._settings.embed_budget_s))
        likeness = dense.search(vector, DEPTH)
        hits = {hit.id: hit for hit in by_words}
        others = self._reader.score(question, [one for one in likeness if one not in hits], filters)
        near = ranks({one: like.cosine for one, like in likeness.items()})
        likeness |= dense.likeness(vector, [one for one in hits if one not in likeness])
        hits |= {hit.id: hit for hit in others}
        if len(likeness.keys() & hits.keys()) < ENOUGH_VECTORS * len(hits) or not hits:
            raise _NotYet("多数候选段落还没有向量", "most candidates have no vectors yet")
        references = named_in(question)
        candidates = [
            Candidate(
                one,
                hit.normalised_score * factor(hit.passage, references, hit.status),
                likeness[one].cosine if one in likeness else None,
                hit.passage.title,
            )
            for one, hit in hits.items()
        ]
        by_ranks = self._settings.fusion == "rrf"
        scores = reciprocal_ranks(candidates) if by_ranks else added(candidates, self._weights)
        place = ranks(scores)
        return _Fused(
            hits,
            likeness,
            # What the question names comes first whatever its scores, in the order that words gave it.
            {one: scores[one] for one in [hit.id for hit in by_words if hit.exact] + list(place)},
            {"lexical": {hit.id: n for n, hit in enumerate(by_words, 1)}, "dense": near, "fused": place},
        )


class _NotYet(YijuError):
    """Too few vectors are made yet."""


def _words_only(hits: tuple[Hit, ...]) -> _Fused:
    return _Fused(
        {hit.id: hit for hit in hits},
        {},
        {hit.id: hit.normalised_score for hit in hits},
        {"lexical": {hit.id: n for n, hit in enumerate(hits, 1)}},
    )


def _ranked(one: str, fused: _Fused, scores: Mapping[str, float], stages: Mapping[Stage, Mapping[str, int]]) -> Ranked:
    like = fused.likeness.get(one)
    return Ranked(
        fused.hits[one],
        scores[one],
        like.cosine if like else None,
        like.window if like else None,
        {stage: places[one] for stage, places in stages.items() if one in places},
    )
