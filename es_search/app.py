"""The search service's routes."""

import atexit
from collections.abc import Mapping
from datetime import date
from typing import Annotated, Any, ClassVar, Literal

from flask import Flask, g
from flask.typing import ResponseReturnValue
from pydantic import BaseModel, ConfigDict, Field, StringConstraints

from es_search.dense_search import Meaning, make_searcher
from es_search.explain import explain
from es_search.metrics import SearchMetrics
from es_search.searcher import Found
from service_kit.errors import IndexUnavailable
from service_kit.passages import NO_FILTERS, Filters, Hit, PassageReader, open_reader
from service_kit.settings import Settings
from service_kit.web import Body, Check, create_base_app, current_deadline, read_body, registry_of
from service_kit.words import Lang, Words

MAX_TOP_K = 100
MOST_QUESTIONS = 8
"""Of `more`: questions that are searched beside the first one, which saves their requests."""

NonBlank = Annotated[str, StringConstraints(strip_whitespace=True, min_length=1)]


class FilterBody(BaseModel):
    """`filters` of `POST /`. An unknown key is refused: a misspelt filter that filters nothing would go unnoticed."""

    model_config = ConfigDict(frozen=True, extra="forbid", strict=True)
    as_of: date | None = None
    issuer: NonBlank | None = None
    status: Literal["in_force", "repealed"] | None = None

    def filters(self) -> Filters:
        return Filters(self.as_of, self.issuer, self.status)


class SearchBody(Body):
    """`POST /`."""

    allowed: ClassVar[Mapping[str, str]] = {
        "question": "non-empty string",
        "top_k": f"integer 1..{MAX_TOP_K}",
        "filters": '{"as_of": "YYYY-MM-DD", "issuer": non-empty string, "status": "in_force" or "repealed"}',
        "explain": "true or false",
        "more": f"list of at most {MOST_QUESTIONS} non-empty strings",
    }
    question: NonBlank
    top_k: Annotated[int, Field(ge=1, le=MAX_TOP_K)] | None = None
    filters: FilterBody | None = None
    explain: bool | None = None
    more: Annotated[list[NonBlank], Field(max_length=MOST_QUESTIONS)] | None = None


def create_app(settings: Settings) -> Flask:
    """The app. Starts without an index; searches answer 503 until there is one."""
    reader = open_reader(settings)
    meaning = Meaning(settings, reader)
    atexit.register(meaning.close)
    searcher = make_searcher(settings, reader, meaning)
    checks = (
        Check("index", reader.check),
        Check("selftest", lambda: _passed(reader)),
        *([Check("vectors", meaning.check, required=False)] if meaning.wanted else []),
    )
    app = create_base_app("search", settings, checks=checks)
    metrics = SearchMetrics(registry_of(app), meaning.progress)

    @app.post("/")
    def search() -> dict[str, Any]:
        body = read_body(SearchBody)
        filters = body.filters.filters() if body.filters else NO_FILTERS

        skipped: dict[str, Words] = {}  # what one question waited for in vain, the next ones do not wait for again

        def found_for(question: str) -> Found:
            top_k = body.top_k or settings.top_k
            found = searcher.search(question, top_k, current_deadline(), filters, without=skipped)
            skipped.update(found.skipped)
            metrics.count(found)
            return found

        found = found_for(body.question)
        answer = {
            "docs": [one.hit.passage.content for one in found.hits],
            "hits": _shown(found),
            "idf": dict(found.idf),
            "engine": settings.search,
            "retrieval_mode": found.mode,
            "trace_id": g.request_id,
        }
        answer |= _without(found, settings.lang)
        if body.explain:
            answer["explain"] = [explain(one, found.idf) for one in found.hits]
        if body.more is not None:
            answer["more"] = [
                {"hits": _shown(one), "idf": dict(one.idf), "retrieval_mode": one.mode, **_without(one, settings.lang)}
                for one in map(found_for, body.more)
            ]
        return answer

    @app.get("/selftest")
    def selftest() -> ResponseReturnValue:
        probes = reader.selftest()
        ok = all(one["ok"] for one in probes)
        body = {"ok": ok, "engine": settings.search, "probes": probes}
        return (body, 200) if ok else (body, 503, {"Retry-After": "5"})

    return app


def _passed(reader: PassageReader) -> dict[str, Any]:
    """Raises IndexUnavailable with the message of the probe that failed."""
    probes = reader.selftest()
    if failed := next((one for one in probes if not one["ok"]), None):
        raise IndexUnavailable(failed["message"], failed["message"])
    return {"probes": [one["name"] for one in probes]}


def _without(found: Found, lang: Lang) -> dict[str, Any]:
    return {"skipped": {stage: words.to(lang) for stage, words in found.skipped.items()}} if found.skipped else {}


def _shown(found: Found) -> list[dict[str, Any]]:
    return [_show(one.hit) | {"ranked_by": one.score} for one in found.hits]


def _show(hit: Hit) -> dict[str, Any]:
    return {
        "id": hit.id,
        "title": hit.passage.title,
        "text": hit.passage.text,
        "fields": hit.passage.fields,
        "score": hit.score,
        "normalised_score": hit.normalised_score,
        "highlights": hit.highlights,
        "status": hit.status,
        "repealed": hit.status == "repealed",
        "exact": hit.exact,
    }
