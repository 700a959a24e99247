"""The search service's routes."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from flask import Flask, g
from pydantic import Field, StringConstraints

from service_kit.passages import Hit, open_reader
from service_kit.settings import Settings
from service_kit.web import Body, Check, create_base_app, read_body

MAX_TOP_K = 100


class SearchBody(Body):
    """`POST /`."""

    allowed: ClassVar[Mapping[str, str]] = {"question": "non-empty string", "top_k": f"integer 1..{MAX_TOP_K}"}
    question: Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]
    top_k: Annotated[int, Field(ge=1, le=MAX_TOP_K)] | None = None


def create_app(settings: Settings) -> Flask:
    """The app. Starts without an index; searches answer 503 until there is one."""
    reader = open_reader(settings)
    app = create_base_app("search", settings, checks=(Check("index", reader.check),))

    @app.post("/")
    def search() -> dict[str, Any]:
        body = read_body(SearchBody)
        result = reader.search(body.question, body.top_k or settings.top_k)
        return {
            "docs": [hit.passage.content for hit in result.hits],
            "hits": [_show(hit) for hit in result.hits],
            "idf": dict(result.idf),
            "engine": settings.search,
            "trace_id": g.request_id,
        }

    return app


def _show(hit: Hit) -> dict[str, Any]:
    return {
        "id": hit.id,
        "title": hit.passage.title,
        "text": hit.passage.text,
        "fields": hit.passage.fields,
        "score": hit.score,
        "normalised_score": hit.normalised_score,
    }
