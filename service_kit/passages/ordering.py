"""The order of what was found: exact references first, then by score, in-force before repealed. Pure functions.

An engine fetches candidates by score, and beside them what bears a 文号 or an article that the question names (however
low its score); `ordered` puts them in order. Without references and repealed passages that is the order of the scores.
"""

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from datetime import date
from typing import NamedTuple

from service_kit.passages.analysis import question_terms
from service_kit.passages.index import Hit
from service_kit.passages.passage import Passage
from service_kit.passages.references import (
    References,
    article_keys,
    doc_no_keys,
    mention_texts,
    names_title,
    years_of,
)
from service_kit.passages.validity import Status, validity

REPEALED = 0.8
"""What a repealed passage's score is worth: one in force comes before it unless it matches a quarter less."""
NAMED_YEAR = 1.25
"""What the score of a passage is worth whose title, 文号 or dates bear a year that the question names."""
BARE_ARTICLE = 2.0
"""The same for an article whose number is named without its law."""
SPARE = 20
"""Candidates beyond `top_k` to fetch where scores are changed so."""


class Candidate(NamedTuple):
    """A passage that may be shown, and its BM25 score, rounded, so that ties are ties in every engine."""

    passage: Passage
    id: str
    score: float


class Ranked(NamedTuple):
    """A candidate in its place. `exact`: it bears the 文号, or is the article of the law, that the question names."""

    candidate: Candidate
    status: Status
    exact: bool
    factor: float
    """What its score is worth, beside others' (see the constants above)."""


def ordered(candidates: Sequence[Candidate], references: References, day: date, top_k: int) -> list[Ranked]:
    """The `top_k` best, each id once; equal ones in the order of their ids.

    Of several 文号 or articles that are named, the best passage of each comes before the second of any.
    `day` is the one for which in force and repealed are told.
    """
    unique = {candidate.id: candidate for candidate in candidates}.values()
    if not references:
        return _by_score(unique, day)[:top_k]
    bearers = [_Bearer(one, references) for one in unique]
    _name(bearers, references)
    ranked = []
    for bearer in bearers:
        status = validity(bearer.candidate.passage).status_at(day)
        factor = bearer.factor(references) * (REPEALED if status == "repealed" else 1.0)
        place = (-bearer.tier, -bearer.candidate.score * factor, bearer.candidate.id)
        ranked.append((place, bearer, Ranked(bearer.candidate, status, bearer.tier > 0, factor)))
    ranked.sort(key=lambda one: one[0])
    if not any(one.exact for _, _, one in ranked):
        return [one for _, _, one in ranked[:top_k]]
    return [one for _, one in _in_turns(ranked)][:top_k]


def settled(candidates: Sequence[Candidate], day: date, top_k: int) -> bool:
    """Whether no candidate beyond these can be among the `top_k` best of a question that names nothing. `candidates`
    are the best by score, in that order: `top_k` + 1 of them, or all that there are."""
    if len(candidates) <= top_k:
        return True
    return candidates[top_k].score < min(
        (one.candidate.score * one.factor for one in _by_score(candidates[:top_k], day)), default=0.0
    )


def _by_score(candidates: Iterable[Candidate], day: date) -> list[Ranked]:
    """The order where the question names nothing, as nearly always."""
    ranked = []
    for one in candidates:
        status = validity(one.passage).status_at(day)
        ranked.append(Ranked(one, status, exact=False, factor=REPEALED if status == "repealed" else 1.0))
    return sorted(ranked, key=lambda one: (-one.candidate.score * one.factor, one.candidate.id))


def _in_turns(
    ranked: Sequence[tuple[tuple[int, float, str], "_Bearer", Ranked]],
) -> list[tuple[tuple[int, int, float, str], Ranked]]:
    """Within a tier the first of each mention, then the second of each, and so on."""
    shown: Counter[object] = Counter()
    places = []
    for (tier, worth, passage_id), bearer, one in ranked:
        turn = min((shown[mention] for mention in bearer.mentions), default=0)
        shown.update(bearer.mentions)
        places.append(((tier, turn, worth, passage_id), one))
    return sorted(places, key=lambda place: place[0])


class _Bearer:
    """A candidate with what it bears of a question's references, and which mentions name it exactly."""

    def __init__(self, candidate: Candidate, references: References) -> None:
        passage = candidate.passage
        self.candidate = candidate
        self.doc_nos = doc_no_keys(passage.doc_no) if references.doc_nos else ()
        self.articles = article_keys(passage) if references.articles else ()
        self.by_number: set[object] = set()
        self.by_article: set[object] = set()

    @property
    def tier(self) -> int:
        """2: the article of the law or 文号 that is named; 1: of the 文号 that is named; 0: not named exactly."""
        return 2 if self.by_article else 1 if self.by_number else 0

    @property
    def mentions(self) -> set[object]:
        return self.by_article or self.by_number

    def factor(self, references: References) -> float:
        """By how much more its score is worth for what else it bears."""
        factor = 1.0
        if references.years and not years_of(self.candidate.passage).isdisjoint(references.years):
            factor *= NAMED_YEAR
        if any(mention.article in self.articles and not mention.names_law for mention in references.articles):
            factor *= BARE_ARTICLE
        return factor


def _name(bearers: Sequence[_Bearer], references: References) -> None:
    """Note which bearers are named exactly."""
    for readings in references.doc_nos:
        # The longest reading that anything bears: 国办函[2016]88 is not also 函[2016]88.
        reading = next((one for one in readings if any(one in bearer.doc_nos for bearer in bearers)), None)
        for bearer in bearers:
            if reading in bearer.doc_nos:
                bearer.by_number.add(reading)
    for mention in references.articles:
        same = [bearer for bearer in bearers if mention.article in bearer.articles]
        titled = [names_title(mention, bearer.candidate.passage.title) for bearer in same]
        closest = max(titled, default=0)
        for bearer, closeness in zip(same, titled, strict=True):
            if bearer.by_number or (closest and closeness == closest):
                bearer.by_article.add(mention)


def lowest_share(references: References, *, any_repealed: bool) -> float:
    """Which share of the score of the last place a candidate must have to be able to take that place."""
    share = REPEALED if any_repealed else 1.0
    if references.years:
        share /= NAMED_YEAR
    if references.articles:
        share /= BARE_ARTICLE
    return share


def named_share(question: str, idf: Mapping[str, float]) -> float:
    """The share (0..1) of a question's weight that its 文号 and 第…条 make: an exact match answers it in full.

    `idf` has all terms of the question (`SearchResult.idf`).
    """
    named = {term for text in mention_texts(question) for term in question_terms(text)}
    total = sum(idf.values())
    return sum(weight for term, weight in idf.items() if term in named) / total if total else float(bool(named))


def as_hits(ranked: Sequence[Ranked], question: str, idf: Mapping[str, float], best_possible: float) -> tuple[Hit, ...]:
    """What is shown of the passages in their order, in which the exact ones are first. `best_possible` is the score of
    a passage that has everything."""
    share = named_share(question, idf) if ranked and ranked[0].exact else 0.0
    return tuple(
        Hit(
            passage=one.candidate.passage,
            id=one.candidate.id,
            score=one.candidate.score,
            normalised_score=max(
                min(1.0, one.candidate.score / best_possible) if best_possible else 0.0, share if one.exact else 0.0
            ),
            status=one.status,
            exact=one.exact,
            factor=one.factor,
            idf=idf,
        )
        for one in ranked
    )
