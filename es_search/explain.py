"""Why a hit stands where it stands."""

from collections.abc import Mapping
from typing import Any

from es_search.searcher import Ranked
from service_kit.passages.analysis import passage_terms


def explain(ranked: Ranked, idf: Mapping[str, float]) -> dict[str, Any]:
    """The words that question and passage share (rarest first, with their idf), the cosine, the window that had it,
    and the rank after each stage. A stage that the hit was not in has no rank."""
    passage = ranked.hit.passage
    held = idf.keys() & set(passage_terms(passage.title, passage.text))
    return {
        "score": ranked.score,
        "lexical": ranked.hit.normalised_score,
        "dense": ranked.dense,
        "matched": {term: round(idf[term], 3) for term in sorted(held, key=lambda term: (-idf[term], term))},
        "window": _window(ranked),
        "ranks": dict(ranked.ranks),
    }


def _window(ranked: Ranked) -> str | None:
    if ranked.window is None:
        return None
    from service_kit.dense.windows import windows  # noqa: PLC0415

    cut = windows(ranked.hit.passage.title, ranked.hit.passage.text)
    return cut[ranked.window].removeprefix(ranked.hit.passage.title).strip() if ranked.window < len(cut) else None
