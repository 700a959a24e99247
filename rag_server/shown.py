"""Where in each passage to look."""

from collections.abc import Sequence

from rag_server.quoting.quote import nearest_sentence
from rag_server.turn import Evidence, Quote, Retrieved, Shown


def show(question: str, retrieved: Retrieved, quotes: Sequence[Quote] = ()) -> tuple[Shown, ...]:
    """Each passage with the sentences that were quoted from it, else with the one nearest to the question."""
    return tuple(Shown(e, _spans(question, retrieved, e, quotes)) for e in retrieved.evidence)


def _spans(
    question: str, retrieved: Retrieved, evidence: Evidence, quotes: Sequence[Quote]
) -> tuple[tuple[int, int], ...]:
    spans = tuple((quote.start, quote.end) for quote in quotes if quote.n == evidence.n)
    if spans:
        return spans
    nearest = nearest_sentence(question, evidence, retrieved.idf)
    return ((nearest.start, nearest.end),) if nearest else ()
