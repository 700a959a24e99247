"""Which terms of a question are searched for, and how much each of them counts. Pure functions."""

import math
from collections import Counter
from collections.abc import Callable, Sequence
from dataclasses import dataclass

MAX_QUESTION_LENGTH = 50_000
"""Characters of a question that are looked at; with them a search stays well under a second."""
MAX_TERMS = 256
"""Terms searched for; more make a search slow and hardly better."""
MAX_REPEATS = 8
"""How often a term counts at most, however often it is repeated."""


@dataclass(frozen=True)
class WeighedTerm:
    """A term that counts `repeats` times in its question and is in `frequency` documents."""

    term: str
    repeats: int
    frequency: int
    idf: float


def inverse_document_frequency(documents: int, frequency: int) -> float:
    """Lucene's BM25 idf: near 0 for a term that every document has, ln(2N + 2) for one that none has."""
    return math.log(1 + (documents - frequency + 0.5) / (frequency + 0.5))


def weigh(terms: Sequence[str], documents: int, frequency_of: Callable[[str], int]) -> list[WeighedTerm]:
    """The terms of a question that count, rarest first: at most MAX_TERMS that the index has, and MAX_TERMS that it
    has not. Those add nothing to any score, but tell how much of the question the index does not know."""
    weighed = []
    for term, count in Counter(terms).items():
        frequency = frequency_of(term)
        idf = inverse_document_frequency(documents, frequency)
        weighed.append(WeighedTerm(term, min(count, MAX_REPEATS), frequency, idf))
    weighed.sort(key=lambda term: (term.frequency, term.term))
    known = [term for term in weighed if term.frequency]
    unknown = [term for term in weighed if not term.frequency]
    return unknown[:MAX_TERMS] + known[:MAX_TERMS]
