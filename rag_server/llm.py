"""The model, as rag_server sees it: messages in, text out, piece by piece, from llm_server's OpenAI routes."""

import json
from collections.abc import Generator, Sequence
from contextlib import closing
from math import inf
from time import monotonic
from typing import Any, Protocol

from pydantic import BaseModel, ValidationError

from rag_server.prompt.room import Model, estimate
from service_kit.clients import ServiceClient
from service_kit.deadline import Deadline
from service_kit.errors import DependencyDown, GenerationFailed, PayloadTooLarge
from service_kit.generation import FinishReason, Sampling, Usage

Prompt = Sequence[dict[str, str]] | str
"""Messages for a chat model, or a text to go on with."""

KNOWN_FOR_S = 30.0
"""llm_server may have been restarted with another model."""
ASK_AGAIN_S = 2.0
"""After it could not tell."""

_DATA = b"data:"
_END = b"[DONE]"


class Reply:
    """One answer on its way: iterate over its pieces once; afterwards `finish_reason` and `usage` hold.

    Closing it, or a stop, ends the making within a step of the model.
    """

    def __init__(self, events: Generator[dict[str, Any]], deadline: Deadline) -> None:
        self._events = events
        self._deadline = deadline
        self._ended = False
        self.finish_reason: FinishReason = "stop"
        self.usage = Usage()

    def __iter__(self) -> Generator[str]:
        """The pieces of text, none of them empty.

        Raises:
            GenerationFailed: the model broke, broke off, or gave no text at all.
            Stopped: the turn was stopped.
            DependencyDown, DeadlineExceeded, Overloaded, InvalidRequest: as ServiceClient.lines.
        """
        said = False
        with closing(self._events):
            for event in self._events:
                piece = self._text_of(event)
                if piece:
                    said = said or not piece.isspace()
                    yield piece
                self._deadline.remaining()
        if not self._ended:
            raise _failed("回答中断 / it broke off")
        if not said:
            raise _failed("没有文字 / no text")

    def _text_of(self, event: dict[str, Any]) -> str:
        if "error" in event:
            raise _failed(str(event["error"]))
        if used := event.get("usage"):
            self.usage = Usage(used.get("prompt_tokens", 0), used.get("completion_tokens", 0))
        text = ""
        for choice in event.get("choices", ()):
            text += (choice.get("delta") or {}).get("content") or choice.get("text") or ""
            if choice.get("finish_reason"):
                self._ended, self.finish_reason = True, "length" if choice["finish_reason"] == "length" else "stop"
        return text


class _Tokens(BaseModel):
    """What `POST /v1/tokenize` answers; None where the engine can not tell."""

    counts: list[int] | None
    max_model_len: int | None = None
    has_chat_template: bool | None = None


class LLM(Protocol):
    """What the stages need of a model."""

    def begin(self, prompt: Prompt, deadline: Deadline, sampling: Sampling = ...) -> Reply: ...

    def chat(self, messages: Sequence[dict[str, str]], deadline: Deadline, sampling: Sampling) -> str: ...

    def model(self, deadline: Deadline) -> Model: ...

    def count(self, texts: Sequence[str], deadline: Deadline) -> Sequence[int]: ...


class LLMService:
    """llm_server over HTTP. Always as a stream, so that each answer can be stopped."""

    def __init__(self, client: ServiceClient, context_tokens: int | None = None) -> None:
        self._client = client
        self._context_tokens = context_tokens
        self._known = (Model(max_model_len=context_tokens), -inf)

    def begin(self, prompt: Prompt, deadline: Deadline, sampling: Sampling = Sampling()) -> Reply:  # noqa: B008  # frozen
        """Nothing is sent before the first piece is asked for."""
        asked = {name: value for name, value in vars(sampling).items() if value not in (None, ())}
        payload = asked | {"stream": True, "stream_options": {"include_usage": True}}
        if isinstance(prompt, str):
            path, what = "/v1/completions", {"prompt": prompt}
        else:
            path, what = "/v1/chat/completions", {"messages": list(prompt)}  # type: ignore[dict-item]
        return Reply(_events(self._client.lines(path, what | payload, deadline)), deadline)

    def chat(self, messages: Sequence[dict[str, str]], deadline: Deadline, sampling: Sampling) -> str:
        """The model's whole answer. Raises what Reply raises."""
        return "".join(self.begin(messages, deadline, sampling)).strip()

    def model(self, deadline: Deadline) -> Model:
        """What is known of the model, asked again every KNOWN_FOR_S. A model service that is down or can not tell
        leaves it at that: the answer will show what is wrong."""
        _, at = self._known
        if monotonic() - at > KNOWN_FOR_S:
            try:
                self._count([], deadline)
            except (DependencyDown, ValidationError):  # not asked again at once: its failures count on the circuit
                self._known = (self._known[0], monotonic() - KNOWN_FOR_S + ASK_AGAIN_S)
        return self._known[0]

    def count(self, texts: Sequence[str], deadline: Deadline) -> Sequence[int]:
        """Tokens of each text, by the model's own tokenizer; estimated for an engine that has none."""
        try:
            return self._count(texts, deadline)
        except (DependencyDown, ValidationError, PayloadTooLarge):
            return estimate(texts)

    def _count(self, texts: Sequence[str], deadline: Deadline) -> Sequence[int]:
        told = _Tokens.model_validate(self._client.post("/v1/tokenize", {"texts": list(texts)}, deadline))
        window = told.max_model_len or self._context_tokens
        self._known = (Model(window, told.has_chat_template is not False), monotonic())
        return estimate(texts) if told.counts is None else told.counts


def _events(lines: Generator[bytes]) -> Generator[dict[str, Any]]:
    """The server-sent events' JSON objects."""
    with closing(lines):
        for line in lines:
            data = line.removeprefix(_DATA).strip()
            if not line.startswith(_DATA) or data == _END:
                continue
            try:
                event = json.loads(data)
            except ValueError:
                raise _failed("不是 JSON / no JSON") from None
            if isinstance(event, dict):
                yield event


def _failed(reason: str) -> GenerationFailed:
    return GenerationFailed(f"模型生成失败：{reason[:200]}", f"The model failed to generate: {reason[:200]}")
