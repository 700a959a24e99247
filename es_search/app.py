"""The search service's routes."""

import atexit
from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from flask import Flask, g
from pydantic import Field, StringConstraints

from es_search.dense_search import Meaning, make_searcher
from es_search.explain import explain
from es_search.metrics import SearchMetrics
from es_search.searcher import Ranked
from service_kit.passages import open_reader
from service_kit.settings import Settings
from service_kit.web import Body, Check, create_base_app, current_deadline, read_body, registry_of

MAX_TOP_K = 100


class SearchBody(Body):
    """`POST /`."""

    allowed: ClassVar[Mapping[str, str]] = {
        "question": "non-empty string",
        "top_k": f"integer 1..{MAX_TOP_K}",
        "explain": "true or false",
    }
    question: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
    top_k: Annotated[int, Field(ge=1, le=MAX_TOP_K)] | None = None
    explain: bool | None = None


def create_app(settings: Settings) -> Flask:
    """The app. Starts without an index; searches answer 503 until there is one."""
    reader = open_reader(settings)
    meaning = Meaning(settings, reader)
    atexit.register(meaning.close)
    searcher = make_searcher(settings, reader, meaning)
    checks = [Check("index", reader.check)]
    if meaning.wanted:
        checks.append(Check("vectors", meaning.check, required=False))
    app = create_base_app("search", settings, tuple(checks))
    metrics = SearchMetrics(registry_of(app), meaning.progress)

    @app.post("/")
    def search() -> dict[str, Any]:
        body = read_body(SearchBody)
        found = searcher.search(body.question, body.top_k or settings.top_k, current_deadline())
        metrics.count(found)
        answer = {
            "docs": [one.hit.passage.content for one in found.hits],
            "hits": [_show(one) for one in found.hits],
            "idf": dict(found.idf),
            "engine": settings.search,
            "retrieval_mode": found.mode,
            "trace_id": g.request_id,
        }
        if found.skipped:
            answer["skipped"] = {stage: words.to(settings.lang) for stage, words in found.skipped.items()}
        if body.explain:
            answer["explain"] = [explain(one, found.idf) for one in found.hits]
        return answer

    return app


def _show(ranked: Ranked) -> dict[str, Any]:
    hit = ranked.hit
    return {
        "id": hit.id,
        "title": hit.passage.title,
        "text": hit.passage.text,
        "fields": hit.passage.fields,
        "score": hit.score,
        "normalised_score": hit.normalised_score,
    }
