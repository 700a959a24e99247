"""The model, as rag_server sees it: messages in, text out, from llm_server's `POST /`."""

from collections.abc import Sequence
from typing import Protocol

from service_kit.clients import ServiceClient
from service_kit.deadline import Deadline
from service_kit.errors import GenerationFailed

FAILED = 444
"""llm_server's contract: HTTP 200 whose body says `"status": 444` is a failed generation."""


class LLM(Protocol):
    """What the stages need of a model."""

    def chat(self, messages: Sequence[dict[str, str]], deadline: Deadline) -> str: ...


class LLMService:
    """llm_server over HTTP."""

    def __init__(self, client: ServiceClient) -> None:
        self._client = client

    def chat(self, messages: Sequence[dict[str, str]], deadline: Deadline) -> str:
        """The model's answer.

        Raises:
            GenerationFailed: the model broke, or its answer is empty.
            DependencyDown, DeadlineExceeded, Overloaded, InvalidRequest: as ServiceClient.post.
        """
        body = self._client.post("/", {"messages": list(messages)}, deadline)
        text = body.get("response")
        if body.get("status") == FAILED or not isinstance(text, str) or not text.strip():
            reason = str(text)[:200]
            raise GenerationFailed(f"模型生成失败：{reason}", f"The model failed to generate: {reason}")
        return text.strip()
