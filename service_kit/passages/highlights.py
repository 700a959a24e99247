"""Where a text holds the words of a question. Pure functions."""

import unicodedata
from collections.abc import Iterator, Mapping

LEAST_OF_RAREST = 0.25
"""A word is shown if its idf is at least this share of that of the rarest word found."""
MOST = 50

Span = tuple[int, int]


def highlights(text: str, idf: Mapping[str, float]) -> tuple[Span, ...]:
    """Spans `[start, end)` of `text`, in code points, that hold terms of the question; ascending, never touching.

    `idf` is keyed by the terms (see `analysis`), which are folded: wide letters and capitals are found as well.
    Single Chinese characters show only when nothing longer does; at most MOST spans, the first ones.
    """
    folded, offsets = _fold_with_offsets(text)
    places = {term: list(_occurrences(folded, term)) for term in idf if term in folded}
    words = [term for term in places if len(term) > 1] or list(places)
    least = LEAST_OF_RAREST * max((idf[term] for term in words), default=0.0)
    spans: list[Span] = []
    for start, end in sorted(place for term in words if idf[term] >= least for place in places[term]):
        first, last = offsets[start], offsets[end - 1] + 1
        if spans and first <= spans[-1][1]:
            spans[-1] = (spans[-1][0], max(last, spans[-1][1]))
        else:
            spans.append((first, last))
    return tuple(spans[:MOST])


def _occurrences(text: str, term: str) -> Iterator[Span]:
    at = text.find(term)
    while at >= 0:
        yield at, at + len(term)
        at = text.find(term, at + 1)


def _fold_with_offsets(text: str) -> tuple[str, range | list[int]]:
    """The text as terms are folded, and for each character of it the place of the one it came from."""
    folded = unicodedata.normalize("NFKC", text).lower()
    if len(folded) == len(text):
        return folded, range(len(text))
    pieces = [unicodedata.normalize("NFKC", char).lower() for char in text]
    return "".join(pieces), [at for at, piece in enumerate(pieces) for _ in piece]
