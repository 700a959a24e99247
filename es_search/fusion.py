"""Words and meaning -> one order. Pure functions.

Both are added as they are: the share of the question's words, weighed by rarity, that a passage holds (BM25 divided by
the most it could be, 0..1), and the cosine of its best window. A rank forgets by how much one passage is better than
the next; on two of four sets adding reciprocal ranks was worse than words alone.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import NamedTuple

from service_kit.settings import Settings

E5_WEIGHT = 5.0
"""λ for multilingual-e5-small, whose cosines all lie between 0.75 and 0.95."""
OTHER_WEIGHT = 1.5
"""λ for others, whose cosines spread over about three times as much; `python -m tools.tune_fusion` measures it."""
TITLE_DISCOUNT = 0.15
"""What the words that the title alone holds count less beside meaning: the title is in each window, too, and all
passages of a document bear it, so that it says which document is meant and hardly which passage."""
DOCUMENT_WEIGHT = 0.2
"""What several good passages of one document tell of each of them."""
BEST_OF_DOCUMENT = 5
RANK_CONSTANT = 60
"""k of reciprocal rank fusion (Cormack, Clarke, Büttcher 2009)."""


class Candidate(NamedTuple):
    """A passage that may be the answer. `cosine` is None while it has no vectors; `document` names what it is of;
    `title` is the share (0..1) of the question's words, weighed by rarity, that its title holds."""

    id: str
    lexical: float
    cosine: float | None
    document: str
    title: float = 0.0


class Weights(NamedTuple):
    """How much a cosine counts beside the share of words (λ), and the document's best passages beside the own score."""

    dense: float
    document: float

    @classmethod
    def of(cls, settings: Settings) -> "Weights":
        """Those of the settings; else those that were chosen for the embedder."""
        dense = E5_WEIGHT if settings.embedder_name == "e5" else OTHER_WEIGHT
        return cls(
            dense if settings.dense_weight is None else settings.dense_weight,
            DOCUMENT_WEIGHT if settings.document_weight is None else settings.document_weight,
        )


def added(candidates: Sequence[Candidate], weights: Weights) -> dict[str, float]:
    """By id: words (those of the title discounted) + λ · cosine, and a share of what the passage's document offers.

    The cosine counts from the mean of all candidates': only differences rank, and so a document's sum is not made of
    what every passage has. One that is not known yet counts as the mean. A document's share is a fifth of the sum of
    its five best: one good passage alone is worth less than several.
    """
    known = [one.cosine for one in candidates if one.cosine is not None]
    middle = fmean(known) if known else 0.0
    discount = TITLE_DISCOUNT if weights.dense else 0.0
    own = {
        one.id: one.lexical
        - discount * one.title
        + weights.dense * ((middle if one.cosine is None else one.cosine) - middle)
        for one in candidates
    }
    if not weights.document:
        return own
    of_document: defaultdict[str, list[float]] = defaultdict(list)
    for one in candidates:
        of_document[one.document].append(own[one.id])
    context = {name: sum(sorted(some)[-BEST_OF_DOCUMENT:]) / BEST_OF_DOCUMENT for name, some in of_document.items()}
    return {one.id: own[one.id] + weights.document * context[one.document] for one in candidates}


def reciprocal_ranks(candidates: Sequence[Candidate]) -> dict[str, float]:
    """By id: the sum of 1 / (RANK_CONSTANT + rank) over both orders; one without vectors is in the first only."""
    by_words = sorted(candidates, key=lambda one: (-one.lexical, one.id))
    by_meaning = sorted(
        (one for one in candidates if one.cosine is not None), key=lambda one: (-(one.cosine or 0.0), one.id)
    )
    scores: defaultdict[str, float] = defaultdict(float)
    for order in (by_words, by_meaning):
        for rank, one in enumerate(order, 1):
            scores[one.id] += 1 / (RANK_CONSTANT + rank)
    return dict(scores)


def ranks(scores: Mapping[str, float]) -> dict[str, int]:
    """Rank from 1, by id; equal scores in the order of their ids."""
    order = sorted(scores, key=lambda one: (-scores[one], one))
    return {one: rank for rank, one in enumerate(order, 1)}
