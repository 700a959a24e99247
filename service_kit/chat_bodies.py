"""The body of a chat request, the same on llm_server and llm_stream_server."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar, Literal

from pydantic import BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema, field_validator
from pydantic_core import PydanticCustomError

from service_kit.generation import Message, Sampling
from service_kit.web.bodies import Body

STOP_STRINGS = 16
MOST_MESSAGES = 2000
"""Each one costs time in the model's template, however short it is."""
INT64 = 2**63


def _join_parts(content: Any) -> Any:
    """OpenAI's list of parts `[{"type": "text", "text": "…"}, …]` as one string."""
    if isinstance(content, str):
        return content
    parts = content if isinstance(content, list) else [None]
    texts = [part["text"] for part in parts if isinstance(part, dict) and _is_text(part)]
    if len(texts) < len(parts):
        raise PydanticCustomError("not_text", "Input should be a string or a list of text parts")
    return "".join(texts)


def _is_text(part: dict[str, Any]) -> bool:
    return part.get("type") == "text" and isinstance(part.get("text"), str)


_PART = {"type": "object", "properties": {"type": {"const": "text"}, "text": {"type": "string"}}}
_CONTENT = {"anyOf": [{"type": "string"}, {"type": "array", "items": _PART | {"required": ["type", "text"]}}]}
StopString = Annotated[str, Field(min_length=1, max_length=256)]


def _as_tuple(stop: Any) -> Any:
    if isinstance(stop, str):
        return (stop,)
    return tuple(stop) if isinstance(stop, list) else stop


class MessageBody(BaseModel):
    """One message; `developer` is OpenAI's newer word for `system`."""

    model_config = ConfigDict(frozen=True, extra="ignore", strict=True)

    role: Literal["system", "developer", "user", "assistant"]
    content: Annotated[str, BeforeValidator(_join_parts), WithJsonSchema(_CONTENT)]

    def to_message(self) -> Message:
        return Message("system" if self.role == "developer" else self.role, self.content)


class SamplingBody(Body):
    """How to sample, all optional; null is as good as absent."""

    allowed: ClassVar[Mapping[str, str]] = {
        "temperature": "0 … 2",
        "top_p": "0 < … <= 1",
        "top_k": ">= 0",
        "repetition_penalty": "0 < … <= 10",
        "seed": "int64",
        "stop": f'"…" | ["…", …], <= {STOP_STRINGS}',
        "max_tokens": ">= 1",
    }

    temperature: float | None = Field(None, ge=0, le=2)
    top_p: float | None = Field(None, gt=0, le=1)
    top_k: int | None = Field(None, ge=0, lt=INT64)
    repetition_penalty: float | None = Field(None, gt=0, le=10)
    seed: int | None = Field(None, ge=-INT64, lt=INT64)
    stop: Annotated[tuple[StopString, ...] | None, BeforeValidator(_as_tuple)] = Field(None, max_length=STOP_STRINGS)
    max_tokens: int | None = Field(None, ge=1, lt=INT64)

    def to_sampling(self) -> Sampling:
        return Sampling(
            temperature=self.temperature,
            top_p=self.top_p,
            top_k=self.top_k,
            repetition_penalty=self.repetition_penalty,
            seed=self.seed,
            stop=self.stop or (),
            max_tokens=self.max_tokens,
        )


class ChatBody(SamplingBody):
    """`{"messages": […]}` and how to sample."""

    allowed: ClassVar[Mapping[str, str]] = {
        "messages": '[{"role": "system|user|assistant", "content": "…"}, …]',
        **SamplingBody.allowed,
    }

    messages: Annotated[tuple[MessageBody, ...], Field(max_length=MOST_MESSAGES)]

    @field_validator("messages")
    @classmethod
    def _ask_something(cls, messages: tuple[MessageBody, ...]) -> tuple[MessageBody, ...]:
        # Not min_length: pydantic would also call a list empty whose only item is faulty.
        if not messages:
            raise PydanticCustomError("too_short", "There should be at least {min_length} item", {"min_length": 1})
        if not messages[-1].content.strip():
            raise PydanticCustomError("blank", "The last message should hold text")
        return messages

    def to_messages(self) -> tuple[Message, ...]:
        return tuple(message.to_message() for message in self.messages)
