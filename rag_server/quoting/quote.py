"""Finds the sentences that answer: pure functions over the question's words and the evidence."""

import math
from collections.abc import Mapping, Sequence

from rag_server.quoting.inseparable import with_what_belongs
from rag_server.quoting.signals import Candidate, Words, candidates
from rag_server.sentences import cut_sentences
from rag_server.turn import Evidence, Quote

MOST_QUOTES = 3
MOST_CHARACTERS = 160
"""A further sentence must not bring the quotes over this many characters."""
WORTH = 0.0005
"""A further sentence is quoted if it holds the answer with at least this probability for each character to read."""
READING_COST = 15
"""Characters that each further sentence costs beside its own."""
LATER_PASSAGE = -1.2
"""Log-odds of a sentence below the first passage. By reason, not fitted: among the public's questions on law the first
passage is the right one three times as often as the second."""
LED = 2.0
"""For the word behind which the answer is to stand; by reason, too."""
TITLE, WHOLE = 16.0, 6.0
"""For how much of the question the passage's title holds, as much as for what the sentence itself does, and the passage
as a whole. They decide between passages, which the fitted weights do not know of: there was one."""

WEIGHTS: Mapping[str, float] = {
    "own": 16.6,
    "carried": 11.3,
    "titled": -4.4,
    "near": 1.2,
    "nearest": 1.0,
    "run": 2.9,
    "noun": 1.7,
    "beside": 1.2,
    "first": 1.7,
    "length": -0.6,
    "date": 3.9,
    "number": 2.2,
    "reason": 1.9,
    "judgement": 1.8,
    "place": 1.8,
    "name": 1.1,
    "list": 0.9,
    "person": 0.8,
    "definition": 0.5,
    "method": -0.2,
}
"""Log-odds for each signal, fitted on CMRC2018 (4,219 questions, gold passage given) by
`python -m tools.evaluate --only extraction`, which also says what they reach on passages that they were not fitted
on; rounded."""


def find_quotes(question: str, evidence: tuple[Evidence, ...], idf: Mapping[str, float]) -> tuple[Quote, ...]:
    """One to MOST_QUOTES sentences that answer `question`, in reading order; empty when none shares a word with it.

    The most probable sentence, then whichever is most probable for its length: one where the question leaves no doubt,
    three where it does. Each with what may not be parted from it; a list counts as one sentence.
    """
    words = Words.of(question, idf)
    pool = candidates(words, evidence)
    if not any(candidate.terms for candidate in pool):
        return ()
    return quoted(words, choose(pool, probabilities(pool)))


def nearest_sentence(question: str, evidence: Evidence, idf: Mapping[str, float]) -> Quote | None:
    """The sentence of one passage that is nearest to the question; None for a passage without a sentence."""
    words = Words.of(question, idf)
    pool = candidates(words, (evidence,))
    return _quote(words, max(pool, key=score)) if pool else None


def score(candidate: Candidate, weights: Mapping[str, float] = WEIGHTS) -> float:
    """Log-odds, but for a constant, that the sentence holds the answer."""
    signals = candidate.signals
    about = TITLE * signals["title"] + WHOLE * signals["whole"]
    by_reason = about + LED * signals["led"] + (LATER_PASSAGE if candidate.evidence.n > 1 else 0.0)
    return by_reason + sum([weight * signals[name] for name, weight in weights.items()])


def probabilities(pool: Sequence[Candidate], weights: Mapping[str, float] = WEIGHTS) -> list[float]:
    """How probably each sentence holds the answer, given that one of them does: softmax of the scores."""
    scores = [score(candidate, weights) for candidate in pool]
    highest = max(scores)
    powers = [math.exp(one - highest) for one in scores]
    total = sum(powers)
    return [power / total for power in powers]


def choose(pool: Sequence[Candidate], probability: Sequence[float]) -> list[Candidate]:
    """The sentences to quote, best first."""
    characters = [len(candidate.sentence.text) for candidate in pool]
    worth = [p / (length + READING_COST) for p, length in zip(probability, characters, strict=True)]
    best = max(range(len(pool)), key=lambda i: probability[i])
    chosen = [best]
    for i in sorted(range(len(pool)), key=lambda i: -worth[i]):
        if len(chosen) == MOST_QUOTES or worth[i] < WORTH:
            break
        if i != best and sum(characters[j] for j in chosen) + characters[i] <= MOST_CHARACTERS:
            chosen.append(i)
    return [pool[i] for i in chosen]


def quoted(words: Words, chosen: Sequence[Candidate]) -> tuple[Quote, ...]:
    """The chosen sentences (best first), each with what may not be parted from it, in reading order; the first always,
    others as long as there are no more than MOST_QUOTES."""
    quotes: tuple[Quote, ...] = ()
    for candidate in chosen:
        more = _joined(quotes, _with_what_belongs(words, candidate))
        if not quotes or len(more) <= MOST_QUOTES:
            quotes = more
    return quotes


def _quote(words: Words, candidate: Candidate) -> Quote:
    start, end, text = candidate.sentence
    return Quote(candidate.evidence.n, start, end, text, words.share(candidate.terms))


def _with_what_belongs(words: Words, candidate: Candidate) -> list[Quote]:
    one = candidate.evidence
    sentences = cut_sentences(one.text)
    chosen, whole_list = sentences.index(candidate.sentence), "list" in words.asked.kinds
    quotes = []
    for places in with_what_belongs(chosen, sentences, whole_list=whole_list):
        start, end = sentences[places[0]].start, sentences[places[-1]].end
        text = one.text[start:end]
        quotes.append(Quote(one.n, start, end, text, words.share(words.found_in(text))))
    return quotes


def _joined(quotes: Sequence[Quote], more: Sequence[Quote]) -> tuple[Quote, ...]:
    """All of them in reading order, without those that another one holds."""
    found = {(quote.n, quote.start, quote.end): quote for quote in (*quotes, *more)}.values()
    apart = (
        one
        for one in found
        if not any(o is not one and o.n == one.n and o.start <= one.start and one.end <= o.end for o in found)
    )
    return tuple(sorted(apart, key=lambda quote: (quote.n, quote.start)))
