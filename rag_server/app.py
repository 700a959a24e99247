"""Routes of rag_server (port 1710)."""

from typing import Annotated, Any, ClassVar

from flask import Flask, Response, g
from flask.typing import ResponseReturnValue
from pydantic import BeforeValidator, Field, field_validator

from rag_server.llm import LLMService
from rag_server.pipeline import Pipeline
from rag_server.session_routes import add_session_routes, caller_session
from rag_server.store import open_store
from service_kit.clients import ServiceClient
from service_kit.deadline import Deadline
from service_kit.settings import Settings
from service_kit.web import Body, Check, create_base_app, current_deadline, read_body

CLEAR = "清空对话历史"
CLEARED = "已清空"
LONGEST_QUESTION = 20_000
"""Characters."""
READY_TIMEOUT_S = 3.0


def _session_id(value: Any) -> Any:
    # The tutorial's clients send a number: 1 and "1" are the same session. True is no number here.
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


class Question(Body):
    """The body of `POST /get_bot_response`."""

    allowed: ClassVar = {
        "id": "a string of 1 to 128 characters or an integer: the session / 会话编号",
        "content": f"the question, a string of 1 to {LONGEST_QUESTION} characters; {CLEAR} forgets the session / 问题",
    }
    id: Annotated[str, BeforeValidator(_session_id), Field(min_length=1, max_length=128)]
    content: Annotated[str, Field(max_length=LONGEST_QUESTION)]

    @field_validator("content")
    @classmethod
    def _asks_something(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("must not be empty / 不能为空")
        return value.strip()


def create_app(settings: Settings) -> Flask:
    """rag_server as a WSGI app; opens the sessions' database, connects to no service yet."""
    key = settings.own_key
    search = ServiceClient(
        "es_search", settings.address("search").url, timeout_s=settings.search_timeout_s, api_key=key
    )
    llm = ServiceClient("llm_server", settings.address("llm").url, timeout_s=settings.generate_timeout_s, api_key=key)
    generates = settings.answer != "extract"
    store = open_store(settings)
    pipeline = Pipeline(settings, search, LLMService(llm) if generates else None, store)

    def ready(client: ServiceClient) -> dict[str, Any]:
        client.get("/readyz", Deadline.after(READY_TIMEOUT_S))
        return {"url": client.url}

    checks = [Check("es_search", lambda: ready(search)), Check("sessions", store.check)]
    if generates:
        checks.append(Check("llm_server", lambda: ready(llm), required=settings.answer == "generate"))
    app = create_base_app("rag", settings, tuple(checks))

    @app.post("/get_bot_response")
    def get_bot_response() -> ResponseReturnValue:
        question = read_body(Question)
        session, deadline = caller_session(settings, question.id), current_deadline()
        if question.content == CLEAR:
            pipeline.clear(session, deadline)
            return Response(CLEARED, content_type="text/plain; charset=utf-8")
        return pipeline.ask(session, question.content, g.request_id, deadline).as_json()

    add_session_routes(app, settings, store)
    return app
