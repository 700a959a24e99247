"""OpenAI's protocol, as far as llm_server and rag_server share it: what its clients send, how they want errors."""

from collections.abc import Mapping
from dataclasses import replace
from typing import Any, ClassVar, Literal

from pydantic import BaseModel, ConfigDict, Field

from service_kit.chat_bodies import INT64, ChatBody, SamplingBody
from service_kit.errors import YijuError
from service_kit.generation import Sampling, Usage

OPENAI_PREFIX = "/v1/"


class StreamOptions(BaseModel):
    """`include_usage`: one more chunk with the token counts before the end."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    include_usage: bool = False


class AnyCompletion(SamplingBody):
    """What all ways of asking have. `model` may be anything: there is one model, and the answer names it."""

    allowed: ClassVar[Mapping[str, str]] = {"stream": "true | false", "n": "1"}

    model: str | None = None
    stream: bool | None = None
    stream_options: StreamOptions | None = None
    n: Literal[1] | None = None

    @property
    def includes_usage(self) -> bool:
        return self.stream_options is not None and self.stream_options.include_usage


class CompletionBody(ChatBody, AnyCompletion):
    """`POST /v1/chat/completions`."""

    allowed: ClassVar[Mapping[str, str]] = {
        **ChatBody.allowed,
        "max_completion_tokens": ">= 1",
        **AnyCompletion.allowed,
    }

    max_completion_tokens: int | None = Field(None, ge=1, lt=INT64)

    def to_sampling(self) -> Sampling:
        sampling = super().to_sampling()
        return replace(sampling, max_tokens=self.max_completion_tokens or sampling.max_tokens)


def openai_error(body: dict[str, Any], error: YijuError) -> dict[str, Any]:
    """Our own error body with the keys that OpenAI's clients look for."""
    kind = "invalid_request_error" if error.status < 500 else "server_error"
    return {"error": body["error"] | {"type": kind, "param": None}}


def openai_usage(used: Usage) -> dict[str, int]:
    """Token counts under OpenAI's names."""
    return {
        "prompt_tokens": used.prompt_tokens,
        "completion_tokens": used.completion_tokens,
        "total_tokens": used.prompt_tokens + used.completion_tokens,
    }
