"""The routes of llm_server."""

from dataclasses import asdict
from typing import Any

from flask import Flask, request
from flask.typing import ResponseReturnValue

from llm_server import openai_form, tutorial_form
from llm_server.answering import begin, counted
from llm_server.engines.choose import choose_engine
from llm_server.engines.engine import Engine, Request
from llm_server.metrics import LlmMetrics
from llm_server.openai_form import CompletionBody
from llm_server.tokenize_body import TokenizeBody
from service_kit.chat_bodies import ChatBody
from service_kit.errors import GenerationFailed, YijuError
from service_kit.settings import Settings
from service_kit.web import Check, create_base_app, current_deadline, read_body, registry_of, streamed, watch_client


def create_app(settings: Settings, engine: Engine | None = None) -> Flask:
    """`engine` None: the one that the settings ask for."""
    engine = engine or choose_engine(settings)
    check = Check("model", lambda: asdict(engine.card()) | {"engine": settings.engine_name})
    app = create_base_app("llm", settings, (check,), _shape_error)
    metrics = LlmMetrics(registry_of(app), engine)

    def request_for(body: ChatBody) -> Request:
        deadline = current_deadline().sooner(settings.generate_timeout_s)
        return Request(body.to_messages(), body.to_sampling(), deadline, watch_client())

    @app.post(tutorial_form.PATH)
    def answer() -> ResponseReturnValue:
        wanted = request_for(read_body(ChatBody))
        try:
            return tutorial_form.answered("".join(counted(begin(engine, metrics, wanted), metrics)))
        except GenerationFailed as error:
            return tutorial_form.failed(error)

    @app.post("/v1/chat/completions")
    def complete() -> ResponseReturnValue:
        body = read_body(CompletionBody)
        generation = begin(engine, metrics, request_for(body))
        pieces = counted(generation, metrics)
        if not body.stream:
            return openai_form.whole("".join(pieces), generation)
        events = openai_form.events(pieces, generation, include_usage=body.includes_usage)
        return streamed(events, "text/event-stream; charset=utf-8")

    @app.get("/v1/models")
    def models() -> ResponseReturnValue:
        return openai_form.models(engine.card(), settings.languages)

    @app.post("/v1/tokenize")
    def tokenize() -> ResponseReturnValue:
        count = engine.count(read_body(TokenizeBody).to_prompt())
        card = engine.card()
        return {"count": count, "max_model_len": card.max_model_len, "has_chat_template": card.has_chat_template}

    return app


def _shape_error(body: dict[str, Any], error: YijuError) -> dict[str, Any]:
    if request.path == tutorial_form.PATH:
        return tutorial_form.refused(body, error)
    return openai_form.refused(body, error) if request.path.startswith(openai_form.PREFIX) else body
