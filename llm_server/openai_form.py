"""OpenAI's protocol: what its clients expect."""

import json
import time
import uuid
from collections.abc import Callable, Generator, Mapping, Sequence
from contextlib import closing
from typing import Annotated, Any, ClassVar, NamedTuple

from pydantic import BeforeValidator, Field

from llm_server.engines.engine import ModelCard
from service_kit.chat_bodies import SamplingBody
from service_kit.completion_bodies import AnyCompletion, openai_usage
from service_kit.generation import Generation


def _only_one(prompt: Any) -> Any:
    return prompt[0] if isinstance(prompt, list) and len(prompt) == 1 else prompt


class TextBody(AnyCompletion):
    """`POST /v1/completions`: a text to go on with, for base models; one prompt a request."""

    allowed: ClassVar[Mapping[str, str]] = {
        "prompt": '"…" | ["…"]',
        **SamplingBody.allowed,
        **AnyCompletion.allowed,
    }

    prompt: Annotated[str, Field(min_length=1), BeforeValidator(_only_one)]


class Form(NamedTuple):
    """How one route writes an answer."""

    id_prefix: str
    whole_object: str
    chunk_object: str
    whole_choice: Callable[[str], dict[str, Any]]
    chunk_choice: Callable[[str, bool], dict[str, Any]]
    """Gets a piece of text and whether it is the first."""


def _delta(piece: str, first: bool) -> dict[str, Any]:
    return {"delta": ({"role": "assistant"} if first else {}) | ({"content": piece} if piece else {})}


CHAT = Form(
    "chatcmpl-",
    "chat.completion",
    "chat.completion.chunk",
    lambda text: {"message": {"role": "assistant", "content": text}},
    _delta,
)
TEXT = Form(
    "cmpl-", "text_completion", "text_completion", lambda text: {"text": text}, lambda piece, _: {"text": piece}
)


def whole(form: Form, text: str, generation: Generation) -> dict[str, Any]:
    """The answer to a request without `stream`."""
    choice = {"index": 0} | form.whole_choice(text) | {"logprobs": None, "finish_reason": generation.finish_reason}
    head = _head(form.id_prefix, form.whole_object)
    return {**head, "model": generation.model, "choices": [choice], "usage": openai_usage(generation.usage)}


def events(form: Form, pieces: Generator[str], generation: Generation, *, include_usage: bool) -> Generator[str]:
    """The answer as server-sent events. Raises what `pieces` raises, without an event for it."""
    head = _head(form.id_prefix, form.chunk_object)

    def event(**fields: Any) -> str:
        data = {**head, "model": generation.model, **fields}
        return f"data: {json.dumps(data, ensure_ascii=False)}\n\n"

    def chunk(piece: str, first: bool, finish_reason: str | None) -> str:
        choice = {"index": 0} | form.chunk_choice(piece, first) | {"logprobs": None, "finish_reason": finish_reason}
        # OpenAI's: with include_usage every chunk has the key, and only the last one a value.
        return event(choices=[choice], **({"usage": None} if include_usage else {}))

    first = True
    with closing(pieces):
        for piece in pieces:
            yield chunk(piece, first, None)
            first = False
    yield chunk("", first, generation.finish_reason)
    if include_usage:
        yield event(choices=[], usage=openai_usage(generation.usage))
    yield "data: [DONE]\n\n"


def models(card: ModelCard, languages: Sequence[str]) -> dict[str, Any]:
    """`GET /v1/models`: the one model there is."""
    one = {"id": card.name, "object": "model", "created": 0, "owned_by": "yiju"}
    known = {"max_model_len": card.max_model_len, "languages": list(languages)}
    return {"object": "list", "data": [one | known]}


def _head(id_prefix: str, kind: str) -> dict[str, Any]:
    return {"id": f"{id_prefix}{uuid.uuid4().hex}", "object": kind, "created": int(time.time())}
