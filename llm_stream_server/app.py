"""The routes of llm_stream_server."""

from flask import Flask
from flask.typing import ResponseReturnValue

from llm_stream_server.pieces import pieces_of
from service_kit.chat_bodies import ChatBody
from service_kit.clients import ServiceClient
from service_kit.clients.chat import ChatClient
from service_kit.deadline import Deadline
from service_kit.settings import Settings
from service_kit.web import Check, create_base_app, current_deadline, read_body, streamed, watch_client

CHECK_TIMEOUT_S = 5.0


def create_app(settings: Settings, llm: ChatClient | None = None) -> Flask:
    """`llm` None: a client for the llm_server that the settings name, kept as long as the process lives."""
    url, key = settings.address("llm").url, settings.own_key
    llm = llm or make_client(settings)
    status = ServiceClient("llm_server", url, timeout_s=CHECK_TIMEOUT_S, api_key=key)

    def check_llm() -> dict[str, str]:
        # Not /readyz: this one says in words why there is no model.
        status.get("/v1/models", Deadline.after(CHECK_TIMEOUT_S))
        return {"url": url}

    app = create_base_app("stream", settings, (Check("llm_server", check_llm),))

    @app.post("/")
    def stream() -> ResponseReturnValue:
        pieces = pieces_of(llm, read_body(ChatBody), current_deadline(), watch_client())
        return streamed(pieces, "text/plain; charset=utf-8")

    return app


def make_client(settings: Settings) -> ChatClient:
    return ChatClient(
        "llm_server",
        settings.address("llm").url,
        timeout_s=settings.generate_timeout_s,
        api_key=settings.own_key,
        model="any",  # llm_server has one model and does not look at the name
        extensions=True,
    )
