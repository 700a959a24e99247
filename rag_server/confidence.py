"""How sure the evidence makes us that the material answers a question: a number, before any model is asked.

A logistic regression over what the search and the sentences say. It was fitted on questions whose gold passages were
hidden, and on questions put to laws that they are not about (`python -m tools.evaluate --only answerability`).
"""

import math
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from rag_server.quoting.quote import score
from rag_server.quoting.signals import Words, candidates
from rag_server.turn import Evidence, Retrieved
from service_kit.passages.analysis import fold, question_words

LOOKED_AT = 2
"""Passages that the confidence rests on."""

WEIGHTS: Mapping[str, float] = {
    "score": 10.28,
    "score²": -7.28,
    "ahead": 5.12,
    "named": 1.99,
    "sentence": 3.46,
    "words": 3.69,
    "near": -1.63,
    "run": 1.68,
    "rare": 5.41,
    "held": 3.81,
    "weight": -2.97,
    "share": -4.56,
}
CONSTANT = -11.6
"""Fitted; the tool prints them. They are not independent of each other: one alone says little."""


@dataclass(frozen=True)
class Confidence:
    """`value`, 0 to 1, and the signals that it was made of."""

    value: float
    parts: Mapping[str, float]


BY_MEANING = 0.65
"""Of the threshold, where passages were found by meaning, too: they hold fewer of the question's words. With e5 the
same share of the 93 sample questions is answered as by words alone (0.97); of the 50 unanswerable 0.68 instead of 0.74
are refused."""


def confidence(question: str, retrieved: Retrieved) -> Confidence:
    """How sure it is that the passages hold an answer to `question`: 0 without any passage.

    A search service that gives no scores (the tutorial's) can not be judged: 1.
    """
    evidence = retrieved.evidence[:LOOKED_AT]
    if evidence and not retrieved.scored:
        return Confidence(1.0, {})
    parts = signals(question, evidence, retrieved.idf)
    if not parts:
        return Confidence(0.0, {})
    odds = CONSTANT + sum(WEIGHTS[name] * value for name, value in parts.items())
    return Confidence(1 / (1 + math.exp(-odds)), parts)


def lacks_basis(question: str, retrieved: Retrieved, below: float) -> bool:
    """Whether to refuse: nothing was found, or the confidence is less than `below`.

    Scores of several searches are lower when they are fused than those of one, which the confidence was fitted on: what
    the question found by itself may give it, too.
    """
    if not retrieved.evidence:
        return True
    if retrieved.mode != "lexical":
        below *= BY_MEANING
    searches = ((question, retrieved.evidence), *retrieved.apart)
    return all(confidence(asked, replace(retrieved, evidence=found)).value < below for asked, found in searches)


def signals(question: str, evidence: tuple[Evidence, ...], idf: Mapping[str, float]) -> Mapping[str, float]:
    """What the confidence is made of; empty when the evidence has no sentence,
    or the question no letter or digit (found by meaning, which knows no such thing as nothing).

    score, score²   BM25 of the first passage, by the most that the question could score
    ahead           the question's words in the first passage, its title's aside, times its lead over the second
    named           the title of the first passage stands in the question
    sentence        the question's words in the sentence that has most of them, weighed by idf
    words           the same of words alone, bigrams aside, with the passage's title
    near            the words beside the question word, in the sentence that has most of them
    run             the longest piece of the question that stands as it is in the likeliest sentence
    rare            mean idf of the question's words by their highest: near 1 when this material knows few of them
    held            the logarithm of how many of them the first passage holds, of their weight (`weight`), and their
                    share, each counting the same (`share`): words that the whole material is about have little idf
    """
    words = Words.of(question, idf)
    pool = candidates(words, evidence)
    if not pool or not words.weight:
        return {}
    first = evidence[0]
    scores = [one.score for one in evidence] + [0.0] * LOOKED_AT
    best = scores[0] or 1.0
    titles = {one.n: words.found_in(one.title) for one in evidence}
    held = words.found_in(first.text) | titles[first.n]
    beside_title = words.total - sum(words.weight[term] for term in titles[first.n])
    own = sum(words.weight[term] for term in held - titles[first.n]) / beside_title if beside_title > 1e-6 else 1.0

    known = [term for term in words.weight if len(term) > 1 or term.isascii()] or list(words.weight)
    rarest = max((idf.get(term, 0.0) for term in known), default=0.0) or 1.0
    known_held = [term for term in known if term in held]
    return {
        "score": scores[0],
        "score²": scores[0] ** 2,
        "ahead": own * (scores[0] - scores[1]) / best,
        "named": float(fold(first.title) in fold(question)),
        "sentence": max(words.share(candidate.terms) for candidate in pool),
        "words": _share_of_words(
            question, words, (candidate.terms | titles[candidate.evidence.n] for candidate in pool)
        ),
        "near": max(candidate.signals["near"] for candidate in pool),
        "run": max(pool, key=score).signals["run"],
        "rare": sum(idf.get(term, 0.0) for term in known) / len(known) / rarest,
        "held": math.log1p(len(known_held)),
        "weight": math.log1p(sum(idf.get(term, 0.0) for term in known_held) / rarest),
        "share": len(known_held) / len(known),
    }


def _share_of_words(question: str, words: Words, texts: Iterable[frozenset[str]]) -> float:
    """The weight of the question's words (no bigrams) that the best of `texts` holds, by that of all."""
    only = set(question_words(question))
    total = sum(words.weight[word] for word in only) or 1.0
    return max(sum(words.weight[word] for word in only & terms) for terms in texts) / total
