"""`GET /openapi.json`, built from the models that the routes themselves read and answer with."""

import re
from collections.abc import Callable, Mapping
from http import HTTPStatus
from typing import Annotated, Any, NamedTuple, TypeVar

from flask import Flask
from pydantic import BaseModel, ConfigDict, Field
from pydantic.json_schema import JsonSchemaMode, models_json_schema

_ATTRIBUTE = "__openapi__"
_CONVERTED = re.compile(r"<(?:[^:<>]+:)?([^<>]+)>")
View = TypeVar("View", bound=Callable[..., Any])
Model = type[BaseModel]


class ErrorFacts(BaseModel):
    """What went wrong. Some errors have further keys, such as the `dependency` that is down."""

    model_config = ConfigDict(extra="allow")

    code: str
    message: str
    allowed: Annotated[Any, Field(description="What would have been right")] = None
    retry_after: Annotated[int | None, Field(description="Seconds; also in the header Retry-After")] = None


class ErrorBody(BaseModel):
    """What every error answers."""

    error: ErrorFacts


class _Doc(NamedTuple):
    text: str
    body: Model | None
    answers: Model | None
    events: Mapping[str, Model]
    other: str | None
    errors: tuple[int, ...]
    status: int
    query: Mapping[str, str]


def documented(
    text: str,
    *,
    body: Model | None = None,
    answers: Model | None = None,
    events: Mapping[str, Model] | None = None,
    other: str | None = None,
    errors: tuple[int, ...] = (),
    status: int = 200,
    query: Mapping[str, str] | None = None,
) -> Callable[[View], View]:
    """Say of a view what it does, reads and answers; put below the route's own decorator.

    `events`: server-sent events by name, where it streams; `""` is an event without a name. `other`: a content type
    that it answers with beside, or instead of, JSON. `errors`: statuses beside those of any request with a body.
    `status`: when all is well. `query`: parameters behind the `?` and what they are.
    """

    def keep(view: View) -> View:
        setattr(view, _ATTRIBUTE, _Doc(text, body, answers, events or {}, other, errors, status, query or {}))
        return view

    return keep


def openapi(app: Flask, title: str, version: str) -> dict[str, Any]:
    """The OpenAPI 3.1 document of all documented routes of `app`."""
    docs = [
        (_CONVERTED.sub(r"{\1}", rule.rule), method.lower(), getattr(app.view_functions[rule.endpoint], _ATTRIBUTE))
        for rule in app.url_map.iter_rules()
        for method in sorted((rule.methods or set()) - {"HEAD", "OPTIONS"})
        if hasattr(app.view_functions[rule.endpoint], _ATTRIBUTE)
    ]
    wanted: dict[tuple[Model, JsonSchemaMode], None] = {(ErrorBody, "serialization"): None}
    for _, _, doc in docs:
        wanted |= {(doc.body, "validation"): None} if doc.body else {}
        wanted |= {(model, "serialization"): None for model in (doc.answers, *doc.events.values()) if model}
    refs, schemas = models_json_schema(list(wanted), ref_template="#/components/schemas/{model}")
    paths: dict[str, Any] = {}
    for path, method, doc in docs:
        paths.setdefault(path, {})[method] = _operation(path, doc, refs)
    return {
        "openapi": "3.1.0",
        "info": {"title": title, "version": version},
        "paths": paths,
        "components": {
            "schemas": schemas.get("$defs", {}),
            "securitySchemes": {"key": {"type": "http", "scheme": "bearer", "description": "YIJU_API_KEYS, if set"}},
        },
        "security": [{}, {"key": []}],
    }


def _operation(path: str, doc: _Doc, refs: Mapping[Any, Any]) -> dict[str, Any]:
    content: dict[str, Any] = {}
    if doc.answers:
        content["application/json"] = {"schema": refs[doc.answers, "serialization"]}
    if doc.events:
        content["text/event-stream"] = {
            "schema": {"type": "string"},
            "x-events": {name: refs[model, "serialization"] for name, model in doc.events.items()},
        }
    if doc.other:
        content[doc.other] = {"schema": {"type": "string"}}
    errors = sorted({*doc.errors, 400, 413, 429} if doc.body else {*doc.errors})
    error = {"application/json": {"schema": refs[ErrorBody, "serialization"]}}
    operation: dict[str, Any] = {
        "summary": doc.text,
        "responses": {str(doc.status): {"description": HTTPStatus(doc.status).phrase, "content": content}}
        | {str(status): {"description": HTTPStatus(status).phrase, "content": error} for status in errors},
    }
    text = {"schema": {"type": "string"}}
    parameters = [{"name": name, "in": "path", "required": True} | text for name in re.findall(r"{([^}]+)}", path)]
    parameters += [{"name": name, "in": "query", "description": what} | text for name, what in doc.query.items()]
    if parameters:
        operation["parameters"] = parameters
    if doc.body:
        body = {"application/json": {"schema": refs[doc.body, "validation"]}}
        operation["requestBody"] = {"required": True, "content": body}
    return operation
