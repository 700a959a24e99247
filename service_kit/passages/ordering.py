"""The order of what was found: exact references first, then by score, in-force before repealed. Pure functions.

An engine fetches candidates by score, and beside them what bears a 文号 or an article that the question names (however
low its score); `ordered` puts them in order. Without references and repealed passages that is the order of the scores.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import date

from service_kit.passages.analysis import question_terms
from service_kit.passages.highlights import highlights
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


@dataclass(frozen=True)
class Candidate:
    """A passage that may be shown, and its BM25 score, rounded, so that ties are ties in every engine."""

    passage: Passage
    id: str
    score: float


@dataclass(frozen=True)
class Ranked:
    """A candidate in its place. `exact`: it bears the 文号, or is the article of the law, that the question names."""

    candidate: Candidate
    status: Status
    exact: bool


def ordered(candidates: Sequence[Candidate], references: References, day: date, top_k: int) -> list[Ranked]:
    """The `top_k` best, each id once; equal ones in the order of their ids.

    Of several 文号 or articles that are named, the best passage of each comes before the second of any.
    `day` is the one for which in force and repealed are told.
    """
    unique = list({candidate.id: candidate for candidate in candidates}.values())
    tiers = _tiers([candidate.passage for candidate in unique], references)
    judged = []
    for candidate, (tier, mentions) in zip(unique, tiers, strict=True):
        status = validity(candidate.passage).status_at(day)
        worth = candidate.score * factor(candidate.passage, references, status)
        judged.append((-tier, -worth, candidate.id, mentions, Ranked(candidate, status, tier > 0)))
    judged.sort(key=lambda one: one[:3])
    seen: dict[object, int] = {}
    places = []
    for tier, worth, candidate_id, mentions, ranked in judged:
        turn = min((seen.get(mention, 0) for mention in mentions), default=0)
        for mention in mentions:
            seen[mention] = seen.get(mention, 0) + 1
        places.append((tier, turn, worth, candidate_id, ranked))
    places.sort(key=lambda one: one[:4])
    return [place[-1] for place in places[:top_k]]


def _tiers(passages: Sequence[Passage], references: References) -> list[tuple[int, frozenset[object]]]:
    """For each passage how exactly it is named, and by which mentions.

    2: the article of the law or 文号 that is named; 1: of the 文号 that is named; 0: not at all.
    """
    numbers: list[set[object]] = [set() for _ in passages]
    articles: list[set[object]] = [set() for _ in passages]
    for readings in references.doc_nos:
        keys = [set(doc_no_keys(passage.doc_no)) for passage in passages]
        # The longest reading that anything bears: 国办函[2016]88 is not also 函[2016]88.
        reading = next((one for one in readings if any(one in held for held in keys)), None)
        for at, held in enumerate(keys):
            if reading in held:
                numbers[at].add(reading)
    for mention in references.articles:
        is_article = [mention.article in article_keys(passage) for passage in passages]
        titled = [names_title(mention, passage.title) if is_article[at] else 0 for at, passage in enumerate(passages)]
        closest = max(titled, default=0)
        for at, yes in enumerate(is_article):
            if yes and (numbers[at] or (closest and titled[at] == closest)):
                articles[at].add(mention)
    return [
        (2, frozenset(article)) if article else (1 if number else 0, frozenset(number))
        for number, article in zip(numbers, articles, strict=True)
    ]


def factor(passage: Passage, references: References, status: Status) -> float:
    """What the score of the passage is worth beside others' (see the constants above)."""
    worth = REPEALED if status == "repealed" else 1.0
    if references.years and not years_of(passage).isdisjoint(references.years):
        worth *= NAMED_YEAR
    bare = {mention.article for mention in references.articles if not mention.names_law}
    if bare and not bare.isdisjoint(article_keys(passage)):
        worth *= BARE_ARTICLE
    return worth


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
    """What is shown of the passages in their order. `best_possible` is the score of a passage that has everything."""
    share = named_share(question, idf) if any(one.exact for one in ranked) else 0.0
    return tuple(
        Hit(
            passage=one.candidate.passage,
            id=one.candidate.id,
            score=one.candidate.score,
            normalised_score=max(
                min(1.0, one.candidate.score / best_possible) if best_possible else 0.0, share if one.exact else 0.0
            ),
            highlights=highlights(one.candidate.passage.text, idf),
            status=one.status,
            exact=one.exact,
        )
        for one in ranked
    )
