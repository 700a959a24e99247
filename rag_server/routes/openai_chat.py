"""OpenAI's chat protocol over the documents: an OpenAI client's conversation in, its kind of answer out."""

import json
import time
from typing import Any, Literal

from openai.types.chat import ChatCompletion, ChatCompletionChunk
from pydantic import BaseModel, field_validator

from rag_server.events import Delta, Done, Event, EvidenceFound, Status
from rag_server.routes.bodies import LONGEST_QUESTION
from rag_server.routes.responses import EvidenceTold, TurnAbout, about, shown
from rag_server.store import HISTORY_LIMIT
from rag_server.turn import Asked, Message, SessionKey, Turn
from rag_server.understand import understand
from service_kit.chat_bodies import MessageBody
from service_kit.completion_bodies import CompletionBody, openai_usage
from service_kit.deadline import Deadline

MODEL = "yiju"
STATELESS = ""
"""The session under which the trail keeps these turns: no session can be called so."""


class DocumentsChat(CompletionBody):
    """`POST /v1/chat/completions`: the last message is the question, those before it the conversation."""

    @field_validator("messages")
    @classmethod
    def _ends_with_a_question(cls, messages: tuple[MessageBody, ...]) -> tuple[MessageBody, ...]:
        if messages and messages[-1].role != "user":
            raise ValueError("the last message should be the user's / 最后一条消息应为 user 的")
        if messages and len(messages[-1].content) > LONGEST_QUESTION:
            raise ValueError(f"the question is over {LONGEST_QUESTION} characters / 问题超过 {LONGEST_QUESTION} 字")
        return messages

    def to_asked(self, session: SessionKey, trace_id: str) -> Asked:
        """The question; the system messages, wherever they stand, are what the model shall heed."""
        system = "\n".join(m.content for m in self.to_messages() if m.role == "system")
        return Asked(session, self.messages[-1].content.strip(), trace_id, system, self.to_sampling())

    def to_history(self) -> tuple[Message, ...]:
        """The conversation before the question, each of its questions in the form that stands alone."""
        history: list[Message] = []
        for message in [m for m in self.messages[:-1] if m.role in ("user", "assistant")][-HISTORY_LIMIT:]:
            if message.role == "user":
                alone = understand(message.content, history, None, Deadline(), 0).new_query
                history.append(Message("user", message.content, alone))
            else:
                history.append(Message("assistant", message.content))
        return tuple(history)


class DocumentsCompletion(ChatCompletion):
    """OpenAI's completion, and in `yiju` all that is told about the answer."""

    yiju: TurnAbout


class DocumentsChunk(ChatCompletionChunk):
    """OpenAI's chunk; `yiju` is in the one before the first text (evidence) and in the last with a choice (all)."""

    yiju: TurnAbout | EvidenceTold | None = None


class ModelFacts(BaseModel):
    """The one model that answers: Yiju itself."""

    id: str
    object: str
    created: int
    owned_by: str


class ModelList(BaseModel):
    """`GET /v1/models`."""

    object: Literal["list"]
    data: list[ModelFacts]


def models() -> dict[str, Any]:
    """`GET /v1/models`: whatever model llm_server runs, the documents answer."""
    return {"object": "list", "data": [{"id": MODEL, "object": "model", "created": 0, "owned_by": "yiju"}]}


def whole(turn: Turn) -> dict[str, Any]:
    """The answer to a request without `stream`."""
    message = {"role": "assistant", "content": turn.answer.text}
    choice = {"index": 0, "message": message, "logprobs": None, "finish_reason": turn.answer.finish_reason}
    head = _head(turn.asked, "chat.completion") | {"choices": [choice]}
    return head | {"usage": openai_usage(turn.answer.usage), "yiju": about(turn).model_dump()}


class Chunks:
    """Writes a turn's events as OpenAI's chunks."""

    def __init__(self, asked: Asked, *, include_usage: bool) -> None:
        self._head = _head(asked, "chat.completion.chunk")
        self._include_usage = include_usage

    def write(self, event: Event) -> str:
        """The text of one event; empty for what OpenAI's protocol has no word for."""
        match event:
            case EvidenceFound():
                evidence = [shown(one).model_dump() for one in event.shown]
                return self._chunk({"role": "assistant", "content": ""}, yiju={"evidence": evidence})
            case Delta():
                return self._chunk({"content": event.text})
            case Status(stage="restart"):
                return self._chunk({"content": "\n\n"})
            case Done():
                return self._ended(event.turn)
        return ""

    def _ended(self, turn: Turn) -> str:
        text = self._chunk({}, turn.answer.finish_reason, yiju=about(turn).model_dump())
        if self._include_usage:
            text += data(self._head | {"choices": [], "usage": openai_usage(turn.answer.usage)})
        return text + "data: [DONE]\n\n"

    def _chunk(self, delta: dict[str, str], finish_reason: str | None = None, **more: Any) -> str:
        choice = {"index": 0, "delta": delta, "logprobs": None, "finish_reason": finish_reason}
        usage = {"usage": None} if self._include_usage else {}
        return data(self._head | {"choices": [choice]} | usage | more)


def data(value: dict[str, Any]) -> str:
    """One event of OpenAI's streams, which have no names."""
    return f"data: {json.dumps(value, ensure_ascii=False)}\n\n"


def _head(asked: Asked, kind: str) -> dict[str, Any]:
    return {"id": f"chatcmpl-{asked.trace_id}", "object": kind, "created": int(time.time()), "model": MODEL}
