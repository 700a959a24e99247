"""How a question is searched: by words, by meaning, both weighed together, the best ones read again."""

import logging
from collections.abc import Mapping
from dataclasses import dataclass, field
from types import MappingProxyType
from typing import TYPE_CHECKING, Literal

from es_search.fusion import Weights
from es_search.hybrid import DEPTH, WORTH_TRYING, Candidates, NotYet, gather
from es_search.rerank import Reranker, odds, rerank
from service_kit.deadline import Deadline
from service_kit.errors import YijuError
from service_kit.passages import NO_FILTERS, Filters, Hit, PassageReader
from service_kit.passages.authority import by_authority
from service_kit.passages.ordering import REPEALED
from service_kit.settings import Settings
from service_kit.words import Words

if TYPE_CHECKING:
    from service_kit.dense.index import DenseIndex

logger = logging.getLogger(__name__)

NEIGHBOURS = 8
"""Passages beyond `top_k` that words are asked for when authority may bring one of them forward; more add nothing to
the first two."""

Mode = Literal["lexical", "hybrid", "reranked"]
Stage = Literal["lexical", "dense", "fused", "reranked", "authority"]


@dataclass(frozen=True)
class Ranked:
    """A hit and how it got its place. `dense` is the cosine of its best window, `window` which one (from 0); None
    without vectors. `score` is what the last stage that scores gave it; `ranks`, from 1, those of each stage that it
    was in; `authority` is among them where it changed the order."""

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
        self._weights = None if settings.fusion == "rrf" else Weights.of(settings)
        # Reciprocal ranks are no shares: how near two of them are says nothing.
        self._near = settings.authority if self._weights is not None or dense is None else 0.0

    def search(
        self,
        question: str,
        top_k: int,
        deadline: Deadline,
        filters: Filters = NO_FILTERS,
        *,
        without: Mapping[str, Words] = MappingProxyType({}),
    ) -> Found:
        """The `top_k` best passages that `filters` allow. The stages `without` are not tried, for the reasons given.

        Raises:
            IndexUnavailable: as PassageReader.
            DeadlineExceeded: it has passed.
        """
        skipped = {**self._skipped, **without}
        dense = None if "dense" in skipped else self._filled(skipped)
        reranker = None if "rerank" in skipped else self._reranker
        alone = dense is None and reranker is None
        depth = top_k + (NEIGHBOURS if self._near else 0) if alone else max(DEPTH, top_k)
        result = self._reader.search(question, depth, filters)
        hits: Mapping[str, Hit] = {hit.id: hit for hit in result.hits}
        order = list(hits)
        ranks: dict[Stage, Mapping[str, int]] = {"lexical": {one: n for n, one in enumerate(order, 1)}}
        scores = {hit.id: hit.normalised_score for hit in result.hits}
        worth = {hit.id: hit.normalised_score * hit.factor for hit in result.hits}
        mode: Mode = "lexical"
        candidates = None
        if dense:
            candidates = self._candidates(
                dense, question, result.hits, deadline=deadline, filters=filters, skipped=skipped
            )
        if candidates:
            hits, scores, mode = candidates.hits, candidates.scores(self._weights), "hybrid"
            order, worth = list(scores), scores
            ranks |= {"dense": candidates.by_meaning, "fused": {one: n for n, one in enumerate(order, 1)}}
        judged = len(order)  # of these the last stage has said how well they match
        if reranker and order:
            named = [one for one in order if hits[one].exact]
            head = [one for one in order if not hits[one].exact][: self._settings.rerank_depth]
            texts = {one: hits[one].passage.content for one in head}
            again = rerank(reranker, question, texts, self._settings.rerank_budget_s, deadline)
            if again.skipped:
                skipped["rerank"] = again.skipped
            if again.scores:
                mode = "reranked"
                # What reads only title and text knows nothing of a repeal.
                worth = {one: _worth(hits[one], score) for one, score in again.scores.items()}
                read = sorted(worth, key=lambda one: (-worth[one], head.index(one)))
                order = named + read + [one for one in order if one not in worth and not hits[one].exact]
                ranks["reranked"] = {one: n for n, one in enumerate(order, 1) if one in again.scores}
                scores = {**scores, **again.scores}
                worth, judged = {**scores, **odds(worth)}, len(named) + len(read)
        if self._near:
            moved = by_authority(order[:judged], worth, hits, self._near, top_k) + order[judged:]
            if moved != order:
                order = moved
                ranks["authority"] = {one: n for n, one in enumerate(order, 1)}
        deadline.remaining()
        ranked = tuple(_ranked(hits[one], scores[one], candidates, ranks) for one in order[:top_k])
        return Found(ranked, result.idf, mode, skipped)

    def _filled(self, skipped: dict[str, Words]) -> "DenseIndex | None":
        """None, and in `skipped` why, while few passages have vectors."""
        if self._dense and self._dense.filled < WORTH_TRYING:
            skipped["dense"] = NotYet().words
            return None
        return self._dense

    def _candidates(
        self,
        dense: "DenseIndex",
        question: str,
        by_words: tuple[Hit, ...],
        *,
        deadline: Deadline,
        filters: Filters,
        skipped: dict[str, Words],
    ) -> Candidates | None:
        """None, and in `skipped` why, when words have to do."""
        try:
            limit = deadline.share(self._settings.embed_budget_s)
            return gather(self._reader, dense, question, by_words, filters=filters, deadline=limit)
        except NotYet as error:
            skipped["dense"] = error.words
        except YijuError as error:
            logger.warning("searched by words only: %s", error)
            skipped["dense"] = error.words
        except Exception as error:  # a damaged file, a defect: words can be searched all the same
            logger.exception("searched by words only")
            skipped["dense"] = Words(f"向量用不了：{error}", f"The vectors can not be used: {error}")
        return None


def _worth(hit: Hit, score: float) -> float:
    return score * REPEALED if hit.status == "repealed" and score > 0 else score


def _ranked(hit: Hit, score: float, candidates: Candidates | None, ranks: Mapping[Stage, Mapping[str, int]]) -> Ranked:
    like = candidates.likeness.get(hit.id) if candidates else None
    places = {stage: places[hit.id] for stage, places in ranks.items() if hit.id in places}
    return Ranked(hit, score, like.cosine if like else None, like.window if like else None, places)
