"""The body of `POST /v1/score`."""

from collections.abc import Mapping
from typing import Annotated, ClassVar

from pydantic import Field

from llm_server.engines.engine import Prompt
from service_kit.chat_bodies import MessageBody
from service_kit.web import Body

MOST_PROMPTS = 256
MOST_TOKENS = 64

Conversation = Annotated[tuple[MessageBody, ...], Field(min_length=1)]
Text = Annotated[str, Field(min_length=1)]


class ScoreBody(Body):
    """Which of `next` is how likely to follow each of `prompts`; null is not allowed."""

    allowed: ClassVar[Mapping[str, str]] = {
        "prompts": f'["…" | [{{"role": "system|user|assistant", "content": "…"}}, …], …], <= {MOST_PROMPTS}',
        "next": f'["…", …], one token each, <= {MOST_TOKENS}',
    }

    prompts: tuple[Text | Conversation, ...] = Field(min_length=1, max_length=MOST_PROMPTS)
    next: tuple[Text, ...] = Field(min_length=1, max_length=MOST_TOKENS)

    def to_prompts(self) -> list[Prompt]:
        return [
            prompt if isinstance(prompt, str) else tuple(message.to_message() for message in prompt)
            for prompt in self.prompts
        ]
