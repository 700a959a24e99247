"""The routes of llm_server."""

from dataclasses import asdict
from typing import Any

from flask import Flask, request
from flask.typing import ResponseReturnValue

from llm_server import openai_form, tutorial_form
from llm_server.answering import begin, counted, counts_of, scored
from llm_server.encoders.routes import add_encoder_routes
from llm_server.engines.choose import choose_engine
from llm_server.engines.engine import Engine, Prompt, Request
from llm_server.metrics import LlmMetrics
from llm_server.openai_form import Form, TextBody
from llm_server.score_body import ScoreBody
from llm_server.tokenize_body import TokenizeBody
from service_kit.chat_bodies import ChatBody
from service_kit.completion_bodies import OPENAI_PREFIX, CompletionBody, openai_error
from service_kit.errors import GenerationFailed, YijuError
from service_kit.generation import Sampling
from service_kit.settings import Settings
from service_kit.web import Check, create_base_app, current_deadline, read_body, registry_of, streamed, watch_client


def create_app(settings: Settings, engine: Engine | None = None) -> Flask:
    """`engine` None: the one that the settings ask for."""
    engine = engine or choose_engine(settings)
    check = Check("model", lambda: asdict(engine.card()) | {"engine": settings.engine_name})
    app = create_base_app("llm", settings, (check,), _shape_error)
    metrics = LlmMetrics(registry_of(app), engine)

    def request_for(prompt: Prompt, sampling: Sampling) -> Request:
        deadline = current_deadline().sooner(settings.generate_timeout_s)
        return Request(prompt, sampling, deadline, watch_client())

    add_encoder_routes(app, settings)

    @app.post(tutorial_form.PATH)
    def answer() -> ResponseReturnValue:
        body = read_body(ChatBody)
        wanted = request_for(body.to_messages(), body.to_sampling())
        try:
            return tutorial_form.answered("".join(counted(begin(engine, metrics, wanted), metrics)))
        except GenerationFailed as error:
            return tutorial_form.failed(error)

    def completed(form: Form, body: CompletionBody | TextBody, wanted: Request) -> ResponseReturnValue:
        generation = begin(engine, metrics, wanted)
        pieces = counted(generation, metrics)
        if not body.stream:
            return openai_form.whole(form, "".join(pieces), generation)
        events = openai_form.events(form, pieces, generation, include_usage=body.includes_usage)
        return streamed(events, "text/event-stream; charset=utf-8")

    @app.post("/v1/chat/completions")
    def complete_chat() -> ResponseReturnValue:
        body = read_body(CompletionBody)
        return completed(openai_form.CHAT, body, request_for(body.to_messages(), body.to_sampling()))

    @app.post("/v1/completions")
    def complete_text() -> ResponseReturnValue:
        body = read_body(TextBody)
        return completed(openai_form.TEXT, body, request_for(body.prompt, body.to_sampling()))

    @app.post("/v1/score")
    def score() -> ResponseReturnValue:
        body = read_body(ScoreBody)
        prompts = body.to_prompts()
        scores = scored(engine, metrics, prompts, body.next, request_for("", Sampling()))
        return {"model": engine.card().name, "next": list(body.next), "scores": scores}

    @app.get("/v1/models")
    def models() -> ResponseReturnValue:
        return openai_form.models(engine.card(), settings.languages)

    @app.post("/v1/tokenize")
    def tokenize() -> ResponseReturnValue:
        body = read_body(TokenizeBody)
        if body.texts is None:
            tokens: dict[str, Any] = {"count": engine.count(body.to_prompt())}
        else:
            tokens = {"counts": counts_of(engine, body.texts)}
        card = engine.card()
        return tokens | {"max_model_len": card.max_model_len, "has_chat_template": card.has_chat_template}

    return app


def _shape_error(body: dict[str, Any], error: YijuError) -> dict[str, Any]:
    if request.path == tutorial_form.PATH:
        return tutorial_form.refused(body, error)
    return openai_error(body, error) if request.path.startswith(OPENAI_PREFIX) else body
