"""rag_server on a real es_search over a real index and a real llm_server whose engine plays a script."""

import json
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any, NamedTuple

from flask.testing import FlaskClient

from es_search.app import create_app as create_search
from llm_server.app import create_app as create_llm
from rag_server.app import create_app
from service_kit.settings import Settings
from tests.corpus import index_passages
from tests.llm_fixtures import ScriptedEngine
from tests.servers import free_port, served

PATH = "/get_bot_response"
QUESTION = "专项债务收入可以用于经常性支出吗？"
"""Answered by tests.corpus.SPECIAL."""


def with_changes(settings: Settings, **changes: Any) -> Settings:
    return Settings(**(settings.model_dump() | changes))


@contextmanager
def searching(settings: Settings) -> Iterator[Settings]:
    """Settings in which es_search is up and llm_server is not."""
    index_passages(settings)
    with served(create_search(settings)) as url:
        yield with_changes(settings, search_url=url, llm_url=f"http://127.0.0.1:{free_port()}")


class Rag(NamedTuple):
    """A rag_server, by its URL and in this process, and the engine behind it."""

    url: str
    client: FlaskClient
    engine: ScriptedEngine


@contextmanager
def rag(wired: Settings, *steps: Any, **changes: Any) -> Iterator[Rag]:
    """All services up; the model plays `steps`."""
    engine = ScriptedEngine(*steps)
    with served(create_llm(wired, engine)) as llm_url:
        app = create_app(with_changes(wired, llm_url=llm_url, **changes))
        with served(app) as url:
            yield Rag(url, app.test_client(), engine)


def ask(client: FlaskClient, content: str, session: Any = "s1") -> dict[str, Any]:
    response = client.post(PATH, json={"id": session, "content": content})
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.get_json()
    return body


class Told(NamedTuple):
    """One server-sent event."""

    name: str
    data: Any


def events_of(text: str) -> list[Told]:
    """The events of a stream; comments are left out."""
    told = []
    for block in text.split("\n\n"):
        lines = dict(line.split(": ", 1) for line in block.splitlines() if not line.startswith(":"))
        if lines:
            told.append(Told(lines["event"], json.loads(lines["data"])))
    return told
