"""The body of `POST /v1/tokenize`."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field, model_validator
from pydantic_core import PydanticCustomError

from llm_server.engines.engine import Prompt
from service_kit.chat_bodies import MessageBody
from service_kit.web import Body


class TokenizeBody(Body):
    """A conversation, a plain text, or several texts."""

    allowed: ClassVar[Mapping[str, str]] = {
        "messages": '[{"role": "system|user|assistant", "content": "…"}, …]',
        "text": "a string",
        "texts": '["…", …], up to 1000; one of the three',
    }

    messages: tuple[MessageBody, ...] | None = None
    text: str | None = None
    texts: Annotated[tuple[str, ...], Field(max_length=1000)] | None = None

    @model_validator(mode="after")
    def _one_of_three(self) -> "TokenizeBody":
        if sum(given is not None for given in (self.messages, self.text, self.texts)) != 1:
            raise PydanticCustomError("one_of_three", "Give messages, text or texts")
        return self

    def to_prompt(self) -> Prompt:
        if self.messages is not None:
            return tuple(message.to_message() for message in self.messages)
        return self.text or ""
