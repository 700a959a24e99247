"""The body of `POST /v1/tokenize`."""

from collections.abc import Mapping
from typing import ClassVar

from pydantic import model_validator
from pydantic_core import PydanticCustomError

from llm_server.engines.engine import Prompt
from service_kit.chat_bodies import MessageBody
from service_kit.web import Body


class TokenizeBody(Body):
    """A conversation or a plain text."""

    allowed: ClassVar[Mapping[str, str]] = {
        "messages": '[{"role": "system|user|assistant", "content": "…"}, …]',
        "text": "a string; one of the two",
    }

    messages: tuple[MessageBody, ...] | None = None
    text: str | None = None

    @model_validator(mode="after")
    def _one_of_two(self) -> "TokenizeBody":
        if (self.messages is None) == (self.text is None):
            raise PydanticCustomError("one_of_two", "Give either messages or text")
        return self

    def to_prompt(self) -> Prompt:
        if self.messages is not None:
            return tuple(message.to_message() for message in self.messages)
        return self.text or ""
