"""Vectors from any server that speaks OpenAI's `POST /v1/embeddings`: a model of llm_server's, vLLM, TEI, Ollama, …"""

import math
from collections.abc import Sequence

import numpy as np
import openai
import pybreaker

from service_kit.clients.breaker import CONNECT_TIMEOUT_S, OPEN_FOR_S, down, make_breaker
from service_kit.deadline import Deadline
from service_kit.dense.prefixes import Prefixes
from service_kit.dense.vectors import Matrix, Vector, unit
from service_kit.errors import DependencyDown

_NAME = "embedder"
_BATCH = 32
"""Windows of one request."""
_PATIENCE_S = 120.0
"""For one batch of windows: a server that is busy, or a model on a slow machine."""


class ServedEmbedder:
    """After several failures in a row questions fail at once for some seconds, instead of waiting for a dead server."""

    def __init__(self, url: str, model: str, prefixes: Prefixes, api_key: str | None) -> None:
        self._url = url
        self._model = model
        self._prefixes = prefixes
        self._client = openai.OpenAI(
            base_url=url,
            api_key=api_key or "none",
            max_retries=0,
            http_client=openai.DefaultHttpxClient(trust_env=False),  # a proxy must never see a private text
        )
        self._breaker = make_breaker(_NAME, lambda error: not isinstance(error, DependencyDown))

    @property
    def identity(self) -> str:
        return f"openai:{self._model} {self._prefixes.query!r} {self._prefixes.passage!r}"

    def embed_query(self, question: str, deadline: Deadline) -> Vector:
        try:
            with self._breaker.calling():
                vector: Vector = self._ask([self._prefixes.query + question], deadline.remaining(_PATIENCE_S))[0]
                return vector
        except pybreaker.CircuitBreakerError:
            raise down(_NAME, self._url, "刚才多次失败，稍后再试 / failing, paused", OPEN_FOR_S) from None

    def embed_passages(self, texts: Sequence[str]) -> Matrix:
        named = [self._prefixes.passage + text for text in texts]
        return np.concatenate([self._ask(named[at : at + _BATCH], _PATIENCE_S) for at in range(0, len(named), _BATCH)])

    def close(self) -> None:
        self._client.close()

    def _ask(self, texts: list[str], seconds: float) -> Matrix:
        timeout = openai.Timeout(seconds, connect=min(CONNECT_TIMEOUT_S, seconds))
        try:
            answer = self._client.embeddings.create(
                model=self._model, input=texts, encoding_format="float", timeout=timeout
            )
            rows = [one.embedding for one in sorted(answer.data, key=lambda one: one.index)]
            matrix = np.asarray(rows, np.float32)
        except openai.OpenAIError as error:
            raise down(_NAME, self._url, f"{type(error).__name__}: {error}"[:300], OPEN_FOR_S) from None
        except (ValueError, TypeError, AttributeError) as error:
            raise down(_NAME, self._url, f"不是向量 / no vectors ({error})", OPEN_FOR_S) from None
        if matrix.ndim != 2 or len(matrix) != len(texts) or not math.isfinite(float(np.abs(matrix).sum())):
            raise down(_NAME, self._url, "向量的个数或内容不对 / wrong number of vectors, or none", OPEN_FOR_S)
        return unit(matrix)
