"""Vectors from any server that speaks OpenAI's `POST /v1/embeddings`: a model of llm_server's, vLLM, TEI, Ollama, …"""

from collections.abc import Sequence
from concurrent.futures import CancelledError
from typing import Any

import numpy as np
import openai
import pybreaker

from service_kit.clients.breaker import CONNECT_TIMEOUT_S, OPEN_FOR_S, down, make_breaker
from service_kit.clients.loop_thread import LoopThread
from service_kit.deadline import Deadline
from service_kit.dense.prefixes import Prefixes
from service_kit.dense.vectors import Matrix, Vector
from service_kit.errors import DeadlineExceeded, DependencyDown, NoVectors

_NAME = "embedder"
_BATCH = 32
"""Windows of one request."""
_PATIENCE_S = 120.0
"""For one batch of windows: a server that is busy, or a model on a slow machine."""
_HUNG = 0.95
"""Of the budget for a question: a shorter wait was the caller's own choice, and nothing against the server."""
_OF_A_TEXT = (400, 413, 422, 500)
"""Statuses that may be about what was sent: too long, or a model that fails at it."""
_SHORTEST = 1e-6
"""Of a vector that points anywhere."""


class ServedEmbedder:
    """After several failures in a row questions fail at once for some seconds, instead of waiting for a dead server.

    Requests run in a thread of their own, where one can be cut off at any moment: a timeout of HTTP clients is that of
    each wait, which an answer that trickles in would never reach.
    """

    def __init__(
        self, url: str, model: str, prefixes: Prefixes, api_key: str | None, *, budget_s: float = _PATIENCE_S
    ) -> None:
        """`budget_s`: what a question's vector may take when nobody is in a greater hurry."""
        self._url = url
        self._model = model
        self._prefixes = prefixes
        self._hung_s = _HUNG * budget_s
        self._client = openai.AsyncOpenAI(
            base_url=url,
            api_key=api_key or "none",
            max_retries=0,
            # trust_env: a proxy must never see a private text.
            http_client=openai.DefaultAsyncHttpxClient(trust_env=False),
        )
        self._breaker = make_breaker(_NAME, lambda error: not isinstance(error, DependencyDown))
        self._loop = LoopThread(_NAME)

    @property
    def identity(self) -> str:
        return f"openai:{self._model} {self._prefixes.query!r} {self._prefixes.passage!r}"

    def embed_query(self, question: str, deadline: Deadline) -> Vector:
        seconds = deadline.remaining(_PATIENCE_S)
        try:
            with self._breaker.calling():
                vector: Vector = self._ask([self._prefixes.query + question], seconds, self._hung_s)[0]
                return vector
        except pybreaker.CircuitBreakerError:
            raise down(_NAME, self._url, "刚才多次失败，稍后再试 / failing, paused", OPEN_FOR_S) from None

    def embed_passages(self, texts: Sequence[str]) -> Matrix:
        named = [self._prefixes.passage + text for text in texts]
        parts = [self._ask(named[at : at + _BATCH], _PATIENCE_S) for at in range(0, len(named), _BATCH)]
        if len({part.shape[1] for part in parts}) > 1:
            raise self._down("向量长度不一，模型刚刚换了 / vectors of several lengths: its model has just changed")
        return np.concatenate(parts)

    def close(self) -> None:
        self._loop.close(self._client.close())

    def _ask(self, texts: list[str], seconds: float, hung_s: float = _PATIENCE_S) -> Matrix:
        """Raises DependencyDown; NoVectors, which may be the texts' fault; DeadlineExceeded when it took `seconds` and
        these are less than `hung_s`."""
        future = self._loop.start(self._rows(texts, seconds))
        try:
            return _matrix(future.result(seconds), len(texts))
        except (TimeoutError, openai.APITimeoutError):
            late = f"在 {seconds:.1f} 秒内没有回应 / no answer within {seconds:.1f} s"
            if seconds < hung_s:
                raise DeadlineExceeded(f"{_NAME} {late}", f"{_NAME}: {late}") from None
            raise self._down(late) from None
        except CancelledError:
            raise self._down("已关闭 / closed") from None
        except openai.APIStatusError as error:
            told = self._down(f"{type(error).__name__}: {error}"[:300])
            raise (_no_vectors(told) if error.status_code in _OF_A_TEXT else told) from None
        except openai.APIConnectionError as error:
            raise self._down(f"{type(error).__name__}: {error}"[:300]) from None
        except Exception as error:  # noqa: BLE001  # whatever a foreign server sends
            raise _no_vectors(self._down(f"不是向量 / no vectors ({error})"[:300])) from None
        finally:
            future.cancel()

    async def _rows(self, texts: list[str], seconds: float) -> list[Any]:
        answer = await self._client.embeddings.create(
            model=self._model,
            input=texts,
            encoding_format="float",
            timeout=openai.Timeout(seconds, connect=min(CONNECT_TIMEOUT_S, seconds)),
        )
        return [one.embedding for one in sorted(answer.data, key=lambda one: one.index)]

    def _down(self, reason: str) -> DependencyDown:
        return down(_NAME, self._url, reason, OPEN_FOR_S)


def _no_vectors(error: DependencyDown) -> NoVectors:
    return NoVectors(error.words.zh, error.words.en, retry_after=error.retry_after, details=error.details)


def _matrix(rows: list[Any], count: int) -> Matrix:
    """Raises ValueError when these are not `count` vectors that point somewhere."""
    given = np.asarray(rows)
    if given.ndim != 2 or given.dtype.kind not in "fiu" or len(given) != count:
        raise ValueError("向量的个数或内容不对 / wrong number of vectors, or none")
    lengths = np.linalg.norm(given.astype(np.float64), axis=1, keepdims=True)
    if not (np.isfinite(lengths) & (lengths > _SHORTEST)).all():
        raise ValueError("向量为零或不是数 / zero, or not a number")
    return np.asarray(given / lengths, np.float32)
