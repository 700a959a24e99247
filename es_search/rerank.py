"""Reads the best passages again, together with the question, and puts those first that answer it."""

import math
import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any, Protocol

from service_kit.clients import ServiceClient
from service_kit.deadline import Deadline
from service_kit.errors import DeadlineExceeded, DependencyDown, SettingsError, YijuError
from service_kit.settings import Settings
from service_kit.words import Words

BATCH = 8
"""Passages of one request: what is lost when the time is over."""
_MOST_CHARACTERS = 800
"""Of a passage that a reranker reads: about its model's share of context."""
_HUNG = 0.95
"""Of the budget: who has not answered the first request by then counts as down, and is left alone for a while after
several times; who is too slow for the later ones only, does not."""
_LEAST = 1e-6
"""What 1 - probability is at least."""
_MOST = 1e9
"""Beyond any score that a model gives; not a number is beyond it, too."""
_YES_NO = ("是", "否")
_PROMPT = "判断下面的段落能不能回答问题，只回答“是”或“否”。\n\n问题：{question}\n\n段落：{passage}\n\n能回答吗？"


class Reranker(Protocol):
    """How likely each passage is to answer the question."""

    def score(self, question: str, passages: Sequence[str], deadline: Deadline) -> list[float]:
        """One number a passage, higher is better.

        Raises:
            DeadlineExceeded: not within the deadline.
            DependencyDown and other YijuErrors: what ServiceClient.post raises.
        """


class ModelReranker:
    """The chat model, through llm_server's `/v1/score`: the probability of 是 against 否, one pass a passage."""

    def __init__(self, client: ServiceClient) -> None:
        self._client = client

    def score(self, question: str, passages: Sequence[str], deadline: Deadline) -> list[float]:
        prompts = [
            [{"role": "user", "content": _PROMPT.format(question=question, passage=passage)}] for passage in passages
        ]
        body = self._client.post("/v1/score", {"prompts": prompts, "next": list(_YES_NO)}, deadline)
        try:
            scores = [1 / (1 + math.exp(min(700.0, _number(no) - _number(yes)))) for yes, no in body["scores"]]
        except (KeyError, TypeError, ValueError):
            raise _nonsense(self._client) from None
        if len(scores) != len(passages):
            raise _nonsense(self._client)
        return scores


class PairReranker:
    """A cross-encoder behind `POST /v1/rerank` (llm_server's, or any server that speaks Jina's and Cohere's form)."""

    def __init__(self, client: ServiceClient, model: str) -> None:
        self._client = client
        self._model = model

    def score(self, question: str, passages: Sequence[str], deadline: Deadline) -> list[float]:
        wanted = {"model": self._model, "query": question, "documents": list(passages), "top_n": len(passages)}
        body = self._client.post("/v1/rerank", wanted, deadline)
        try:
            found = {one["index"]: _number(one["relevance_score"]) for one in body["results"]}
            scores = [found[n] for n in range(len(passages))]
        except (KeyError, TypeError, ValueError):
            raise _nonsense(self._client) from None
        if len(body["results"]) != len(passages):
            raise _nonsense(self._client)
        return scores


@dataclass(frozen=True)
class Reranked:
    """What the reranker says of those that it came to, by id, and what was not done, if anything."""

    scores: Mapping[str, float]
    skipped: Words | None = None


def rerank(
    reranker: Reranker, question: str, passages: Mapping[str, str], budget_s: float, deadline: Deadline
) -> Reranked:
    """The reranker's scores of `passages`, which are given by id and read from the first on. Whatever the reranker
    does, what it has scored by then counts, and enough of the deadline is left to answer with it. Raises
    DeadlineExceeded when the deadline is over already."""
    started = time.monotonic()
    until = deadline.share(budget_s)
    ids = list(passages)
    scores: dict[str, float] = {}
    skipped = None
    for at in range(0, len(ids), BATCH):
        some = ids[at : at + BATCH]
        try:
            texts = [passages[one][:_MOST_CHARACTERS] for one in some]
            scores.update(zip(some, reranker.score(question, texts, until), strict=True))
        except DeadlineExceeded:
            given = round(until.at - started, 2)  # less than the budget where the request's own deadline is near
            skipped = Words(
                f"时限 {given:g} 秒内只重排了前 {len(scores)} 段",
                f"only the first {len(scores)} passages were reranked within {given:g} s",
            )
            break
        except YijuError as error:
            skipped = error.words
            break
    return Reranked(scores, skipped)


def odds(scores: Mapping[str, float]) -> Mapping[str, float]:
    """Probabilities as odds: 0.99 and 0.95 are far apart, 0.50 and 0.49 are not. What is no probability stays."""
    if not all(0 <= score <= 1 for score in scores.values()):
        return scores
    return {one: score / max(_LEAST, 1 - score) for one, score in scores.items()}


def choose_reranker(settings: Settings) -> Reranker | None:
    """None: no reranking.

    Raises:
        SettingsError: no model is named.
    """
    if settings.reranker == "none":
        return None
    llm = settings.rerank_url or settings.address("llm").url
    client = ServiceClient("reranker", llm, timeout_s=_HUNG * settings.rerank_budget_s, api_key=settings.own_key)
    if settings.reranker == "llm":
        return ModelReranker(client)
    if not settings.rerank_model:
        raise SettingsError("YIJU_RERANKER=local 需要 YIJU_RERANK_MODEL", "YIJU_RERANKER=local needs YIJU_RERANK_MODEL")
    return PairReranker(client, settings.rerank_model)


def _number(value: Any) -> float:
    """Raises ValueError when it is none, or one that can not be compared."""
    if isinstance(value, bool) or not isinstance(value, int | float) or not -_MOST < value < _MOST:
        raise ValueError
    return float(value)


def _nonsense(client: ServiceClient) -> DependencyDown:
    return DependencyDown(
        f"{client.name}（{client.url}）的回答不合约定", f"{client.name} ({client.url}) does not keep its contract"
    )
