"""Answers with a model that another server runs: vLLM, SGLang, llama.cpp, Ollama, or another llm_server."""

from collections.abc import Sequence
from dataclasses import replace
from typing import NoReturn

from llm_server.engines.engine import Load, ModelCard, Prompt, Request
from service_kit.clients.chat import ChatClient
from service_kit.errors import NotFound, SettingsError
from service_kit.generation import Generation, Message
from service_kit.settings import Settings


class OpenAIEngine:
    """Passes each request on; only OpenAI's own fields, so no top_k and no repetition_penalty.

    The other server keeps its own queue and its own context window: what it refuses is passed back.
    """

    def __init__(self, settings: Settings) -> None:
        if not settings.openai_url:
            raise SettingsError("YIJU_ENGINE=openai 需要 YIJU_OPENAI_URL", "YIJU_ENGINE=openai needs YIJU_OPENAI_URL")
        key = settings.openai_key.get_secret_value() if settings.openai_key else None
        # Unless it was set, the other server's own bound holds: ours might be more than its context window.
        self._most_tokens = settings.max_tokens if "max_tokens" in settings.model_fields_set else None
        self._client = ChatClient(
            "YIJU_OPENAI_URL",
            settings.openai_url,
            timeout_s=settings.generate_timeout_s,
            api_key=key,
            model=settings.model,
        )

    def begin(self, request: Request) -> Generation:
        messages = request.prompt if isinstance(request.prompt, tuple) else (Message("user", request.prompt),)
        asked = request.sampling.max_tokens
        bounds = [tokens for tokens in (asked, self._most_tokens) if tokens is not None]
        sampling = replace(request.sampling, max_tokens=min(bounds, default=None))
        return self._client.begin(messages, sampling, request.deadline, request.is_gone)

    def card(self) -> ModelCard:
        return ModelCard(self._client.model())

    def count(self, prompt: Prompt) -> NoReturn:
        raise NotFound(
            "YIJU_ENGINE=openai 不能统计词元：协议里没有", "YIJU_ENGINE=openai can not count tokens: no such protocol"
        )

    def score(self, prompts: Sequence[Prompt], following: Sequence[str], request: Request) -> NoReturn:
        raise NotFound("YIJU_ENGINE=openai 不能打分：协议里没有", "YIJU_ENGINE=openai can not score: no such protocol")

    def load(self) -> Load:
        return Load(waiting=0, running=self._client.running)

    def close(self) -> None:
        self._client.close()
