"""The services that can be asked: where they are, what they take, where the answer is in what they give back."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, get_args
from urllib.parse import urlsplit

from service_kit.settings import Service, Settings
from tools.asking import PATH as RAG_PATH

Name = Literal["llm", "chat", "stream", "search", "rag"]
NAMES: tuple[Name, ...] = get_args(Name)
CHAT_PATH = "/v1/chat/completions"
PATHS: dict[Name, tuple[Service, str]] = {
    "llm": ("llm", "/"),
    "chat": ("llm", CHAT_PATH),
    "stream": ("stream", "/"),
    "search": ("search", "/"),
    "rag": ("rag", RAG_PATH),
}

Message = dict[str, str]


@dataclass(frozen=True)
class Target:
    """One route of one service. `chat` is llm_server's OpenAI route, streamed."""

    name: Name
    url: str
    max_tokens: int | None = None

    def payload(self, question: str, session: str, history: Sequence[Message] = ()) -> dict[str, Any]:
        """The body that asks `question`; rag_server keeps the history itself, es_search needs none."""
        if self.name == "rag":
            return {"id": session, "content": question}
        if self.name == "search":
            return {"question": question}
        body: dict[str, Any] = {"messages": [*history, {"role": "user", "content": question}]}
        if self.name == "chat":
            body |= {"model": "any", "stream": True, "stream_options": {"include_usage": True}}
        if self.max_tokens:
            body["max_tokens"] = self.max_tokens
        return body

    def answer_in(self, body: Any) -> str | None:
        """The text of the answer in a JSON body; None when the body is not what this service answers."""
        if not isinstance(body, dict):
            return None
        if self.name == "search":
            docs = body.get("docs")
            return "\n".join(map(str, docs)) if isinstance(docs, list) else None
        text = body.get("response")
        return text if isinstance(text, str) else None


def target_of(settings: Settings, url: str | None, name: Name | None, max_tokens: int | None = None) -> Target:
    """The target of `--url` and `--service`; each can be left out, and is then found from the other."""
    if url is None:
        service, path = PATHS[name or "llm"]
        return Target(name or "llm", settings.address(service).url + path, max_tokens)
    return Target(name or _name_of(settings, url), url, max_tokens)


def _name_of(settings: Settings, url: str) -> Name:
    parts = urlsplit(url)
    path = parts.path.rstrip("/")
    if path.endswith(RAG_PATH):
        return "rag"
    if path.endswith(CHAT_PATH):
        return "chat"
    # The bare routes look alike; only the port tells them apart.
    services: tuple[Literal["stream", "search"], ...] = ("stream", "search")
    for service in services:
        if parts.port == urlsplit(settings.address(service).url).port:
            return service
    return "llm"
