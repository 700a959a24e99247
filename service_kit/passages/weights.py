"""Which terms of a question are searched for, and how much each of them counts. Pure functions."""

import math
from collections import Counter
from collections.abc import Callable, Sequence, Set
from dataclasses import dataclass
from heapq import nsmallest
from itertools import groupby

MAX_QUESTION_LENGTH = 50_000
"""Characters of a question that are looked at; with them a search stays well under a second."""
MAX_TERMS = 256
"""Terms searched for; more make a search slow and hardly better."""
MAX_REPEATS = 8
"""How often a term counts at most, however often it is repeated."""

LONG_RUN = 16
"""Known terms in a row that are surely no accident."""


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
    has not. Those add nothing to any score, but tell how much of the question the index does not know.

    Of too many, those go first that stand among other known ones, `terms` being in the order of the text: a quotation
    is a long run of known terms, and the rare ones that noise hits upon by chance stand alone.
    """
    counts = Counter(terms)
    frequencies = {term: frequency_of(term) for term in counts}
    known = [term for term, frequency in frequencies.items() if frequency]
    unknown = [term for term, frequency in frequencies.items() if not frequency]
    if len(known) > MAX_TERMS:
        runs = _longest_runs(terms, set(known))
        known = nsmallest(MAX_TERMS, known, key=lambda term: (-runs[term], frequencies[term], term))
    known.sort(key=lambda term: (frequencies[term], term))
    return [
        WeighedTerm(
            term,
            min(counts[term], MAX_REPEATS),
            frequencies[term],
            inverse_document_frequency(documents, frequencies[term]),
        )
        for term in nsmallest(MAX_TERMS, unknown) + known
    ]


def _longest_runs(terms: Sequence[str], known: Set[str]) -> dict[str, int]:
    """For each known term the length of the longest run of known ones that it stands in; LONG_RUN is the most."""
    longest: dict[str, int] = {}
    for is_known, run in groupby(terms, key=known.__contains__):
        if is_known:
            members = list(run)
            length = min(len(members), LONG_RUN)
            for term in members:
                if longest.get(term, 0) < length:
                    longest[term] = length
    return longest
