"""OpenAI's protocol: what its clients send and what they expect."""

import json
import time
import uuid
from collections.abc import Generator, Mapping, Sequence
from contextlib import closing
from dataclasses import replace
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from llm_server.engines.engine import ModelCard
from service_kit.chat_bodies import INT64, ChatBody
from service_kit.errors import YijuError
from service_kit.generation import Generation, Sampling

PREFIX = "/v1/"


class StreamOptions(BaseModel):
    """`include_usage`: one more chunk with the token counts before the end."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    include_usage: bool = False


class CompletionBody(ChatBody):
    """`POST /v1/chat/completions`. `model` may be anything: there is one model, and the answer names it."""

    allowed: ClassVar[Mapping[str, str]] = {
        **ChatBody.allowed,
        "max_completion_tokens": ">= 1",
        "stream": "true | false",
        "n": "1",
    }

    model: str | None = None
    max_completion_tokens: int | None = Field(None, ge=1, lt=INT64)
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: Literal[1] | None = None

    def to_sampling(self) -> Sampling:
        sampling = super().to_sampling()
        return replace(sampling, max_tokens=self.max_completion_tokens or sampling.max_tokens)

    @property
    def includes_usage(self) -> bool:
        return self.stream_options is not None and self.stream_options.include_usage


def whole(text: str, generation: Generation) -> dict[str, Any]:
    """The answer to a request without `stream`."""
    choice = {
        "index": 0,
        "message": {"role": "assistant", "content": text},
        "logprobs": None,
        "finish_reason": generation.finish_reason,
    }
    return {**_head("chat.completion"), "model": generation.model, "choices": [choice], "usage": _usage(generation)}


def events(pieces: Generator[str], generation: Generation, *, include_usage: bool) -> Generator[str]:
    """The answer as server-sent events. Raises what `pieces` raises, without an event for it."""
    head = _head("chat.completion.chunk")

    def event(**fields: Any) -> str:
        data = {**head, "model": generation.model, **fields}
        return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"

    def chunk(delta: dict[str, str], finish_reason: str | None) -> str:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        # OpenAI's: with include_usage every chunk has the key, and only the last one a value.
        return event(choices=[choice], **({"usage": None} if include_usage else {}))

    role = {"role": "assistant"}
    with closing(pieces):
        for piece in pieces:
            yield chunk(role | {"content": piece}, None)
            role = {}
    yield chunk(role, generation.finish_reason)
    if include_usage:
        yield event(choices=[], usage=_usage(generation))
    yield "data: [DONE]\n\n"


def models(card: ModelCard, languages: Sequence[str]) -> dict[str, Any]:
    """`GET /v1/models`: the one model there is."""
    one = {"id": card.name, "object": "model", "created": 0, "owned_by": "yiju"}
    known = {"max_model_len": card.max_model_len, "languages": list(languages)}
    return {"object": "list", "data": [one | known]}


def refused(body: dict[str, Any], error: YijuError) -> dict[str, Any]:
    """Our own error body with the keys that OpenAI's clients look for."""
    kind = "invalid_request_error" if error.status < 500 else "server_error"
    return {"error": body["error"] | {"type": kind, "param": None}}


def _head(kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{uuid.uuid4().hex}", "object": kind, "created": int(time.time())}


def _usage(generation: Generation) -> dict[str, int]:
    used = generation.usage
    return {
        "prompt_tokens": used.prompt_tokens,
        "completion_tokens": used.completion_tokens,
        "total_tokens": used.prompt_tokens + used.completion_tokens,
    }
