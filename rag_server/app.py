"""Routes of rag_server (port 1710)."""

from collections.abc import Callable, Iterator, Mapping
from typing import Any

from flask import Flask, Response, g, request
from flask.typing import ResponseReturnValue
from pydantic import BaseModel

from rag_server.events import Done, Event
from rag_server.llm import LLMService
from rag_server.pipeline import Pipeline, told_at_once
from rag_server.routes import openai_chat, sse
from rag_server.routes.bodies import CLEAR, CLEARED, Question, StopBody
from rag_server.routes.responses import (
    DeltaTold,
    EvidenceTold,
    Sentence,
    StatusTold,
    StopAnswer,
    TurnBody,
    turn_body,
)
from rag_server.routes.session_routes import add_session_routes, caller_session
from rag_server.store import open_store
from rag_server.turn import Asked, Turn
from service_kit.clients import ServiceClient
from service_kit.completion_bodies import OPENAI_PREFIX, openai_error
from service_kit.deadline import Deadline
from service_kit.errors import ClientGone, YijuError
from service_kit.settings import Settings
from service_kit.stopping import Stop
from service_kit.web import Check, create_base_app, current_deadline, error_body, read_body, streamed, watch_client
from service_kit.web.background import Background, Workers
from service_kit.web.openapi import ErrorBody, documented, openapi

READY_TIMEOUT_S = 3.0
JSON = "application/json"
SSE = "text/event-stream; charset=utf-8"
_EVENTS: Mapping[str, type[BaseModel]] = {
    "status": StatusTold,
    "evidence": EvidenceTold,
    "delta": DeltaTold,
    "sentence": Sentence,
    "done": TurnBody,
    "error": ErrorBody,
}


def create_app(settings: Settings) -> Flask:
    """rag_server as a WSGI app; opens the sessions' database, connects to no service yet."""
    key = settings.own_key
    search = ServiceClient(
        "es_search", settings.address("search").url, timeout_s=settings.search_timeout_s, api_key=key
    )
    llm = ServiceClient("llm_server", settings.address("llm").url, timeout_s=settings.generate_timeout_s, api_key=key)
    generates = settings.answer != "extract"
    store = open_store(settings)
    pipeline = Pipeline(settings, search, LLMService(llm, settings.context_tokens) if generates else None, store)
    workers = Workers("turn")

    def ready(client: ServiceClient) -> dict[str, Any]:
        client.get("/readyz", Deadline.after(READY_TIMEOUT_S))
        return {"url": client.url}

    checks = [Check("es_search", lambda: ready(search)), Check("sessions", store.check)]
    if generates:
        checks.append(Check("llm_server", lambda: ready(llm), required=settings.answer == "generate"))
    app = create_base_app("rag", settings, tuple(checks), _shape_error)

    def answered(events: Iterator[Event], stop: Stop) -> Turn:
        """The turn that a client without `stream` waits for. Raises ClientGone when it waits no more."""
        # Only the end is handed over: each event would wake the waiting thread.
        ends = (event for event in events if isinstance(event, Done))
        running, is_gone = Background(workers, ends, stop, watch_client()), watch_client()
        turn = next(iter(running.items())).turn
        if turn.answer.stopped and is_gone():
            raise ClientGone
        return turn

    def stream(
        events: Iterator[Event],
        stop: Stop,
        write: Callable[[Event], str],
        failed: Callable[[dict[str, Any], YijuError], str],
    ) -> Response:
        running = Background(workers, events, stop, watch_client())
        told = running.with_silence(sse.HOLD_S, settings.heartbeat_s)
        pieces = sse.streaming(told, write, lambda error: failed(error_body(error, settings.lang), error))
        return streamed(pieces, SSE)

    @app.post("/get_bot_response")
    @documented(
        f"Answer a question from the documents; {CLEAR} forgets the session",
        body=Question,
        answers=TurnBody,
        events=_EVENTS,
        other="text/plain",
        errors=(401, 409, 503, 504),
    )
    def get_bot_response() -> ResponseReturnValue:
        question = read_body(Question)
        session, deadline, stop = caller_session(settings, question.id), current_deadline(), Stop()
        asked = Asked(session, question.content, g.request_id)
        if question.content == CLEAR:
            pipeline.clear(session, deadline)
            if question.stream:
                return streamed((sse.written(event) for event in told_at_once(asked, CLEARED)), SSE)
            return Response(CLEARED, content_type="text/plain; charset=utf-8")
        events = pipeline.ask(asked, deadline, stop)
        if question.stream:
            return stream(events, stop, sse.written, lambda body, _: sse.error(body))
        return Response(turn_body(answered(events, stop)).model_dump_json(), content_type=JSON)

    @app.post("/stop")
    @documented("Stop the answer that a session waits for", body=StopBody, answers=StopAnswer, errors=(401,))
    def stop_turn() -> ResponseReturnValue:
        return {"stopped": pipeline.running.stop(caller_session(settings, read_body(StopBody).id))}

    @app.post("/v1/chat/completions")
    @documented(
        "OpenAI's chat over the documents; keeps no session",
        body=openai_chat.DocumentsChat,
        answers=openai_chat.DocumentsCompletion,
        events={"": openai_chat.DocumentsChunk},
        errors=(401, 503, 504),
    )
    def complete_chat() -> ResponseReturnValue:
        body, stop = read_body(openai_chat.DocumentsChat), Stop()
        asked = body.to_asked(caller_session(settings, openai_chat.STATELESS), g.request_id)
        events = pipeline.reply(asked, body.to_history(), current_deadline(), stop)
        if body.stream:
            chunks = openai_chat.Chunks(asked, include_usage=body.includes_usage)
            return stream(events, stop, chunks.write, lambda body, error: openai_chat.data(openai_error(body, error)))
        return openai_chat.whole(answered(events, stop))

    @app.get("/v1/models")
    @documented("The one model there is", answers=openai_chat.ModelList, errors=(401,))
    def models() -> ResponseReturnValue:
        return openai_chat.models()

    @app.get("/openapi.json")
    @documented("This document", other="application/json")
    def openapi_json() -> ResponseReturnValue:
        return openapi(app, "Yiju rag_server", "1")

    add_session_routes(app, settings, store)
    return app


def _shape_error(body: dict[str, Any], error: YijuError) -> dict[str, Any]:
    return openai_error(body, error) if request.path.startswith(OPENAI_PREFIX) else body
