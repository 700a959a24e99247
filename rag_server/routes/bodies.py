"""The bodies of rag_server's routes."""

from collections.abc import Mapping
from typing import Annotated, Any, ClassVar

from pydantic import BeforeValidator, Field, WithJsonSchema, field_validator

from service_kit.web import Body

CLEAR = "清空对话历史"
CLEARED = "已清空"
LONGEST_QUESTION = 20_000
"""Characters."""


def _session_id(value: Any) -> Any:
    # The tutorial's clients send a number: 1 and "1" are the same session. True is no number here.
    return str(value) if isinstance(value, int) and not isinstance(value, bool) else value


SessionId = Annotated[
    str,
    BeforeValidator(_session_id),
    Field(min_length=1, max_length=128),
    WithJsonSchema({"anyOf": [{"type": "string", "minLength": 1, "maxLength": 128}, {"type": "integer"}]}),
]
_ID = "a string of 1 to 128 characters or an integer: the session / 会话编号"


class Question(Body):
    """The body of `POST /get_bot_response`."""

    allowed: ClassVar[Mapping[str, str]] = {
        "id": _ID,
        "content": f"the question, a string of 1 to {LONGEST_QUESTION} characters; {CLEAR} forgets the session / 问题",
        "stream": "true | false: server-sent events / 流式",
    }
    id: SessionId
    content: Annotated[str, Field(max_length=LONGEST_QUESTION)]
    stream: bool | None = None

    @field_validator("content")
    @classmethod
    def _asks_something(cls, value: str) -> str:
        if not value.strip():
            raise ValueError("must not be empty / 不能为空")
        return value.strip()


class StopBody(Body):
    """The body of `POST /stop`."""

    allowed: ClassVar[Mapping[str, str]] = {"id": _ID}
    id: SessionId
