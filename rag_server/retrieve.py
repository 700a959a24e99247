"""Stage 2: the passages for a question, from es_search."""

from typing import Any

from pydantic import BaseModel, ValidationError

from rag_server.turn import Evidence, Retrieved
from service_kit.clients import ServiceClient
from service_kit.deadline import Deadline
from service_kit.errors import DependencyDown
from service_kit.passages.analysis import question_terms


class _Hit(BaseModel):
    title: str
    text: str
    fields: dict[str, str]
    normalised_score: float


class _Found(BaseModel):
    """What es_search answers. `idf` is keyed by the terms of `question_terms`: quoting finds sentences by them."""

    hits: list[_Hit]
    idf: dict[str, float]
    engine: str
    retrieval_mode: str = "lexical"


class _TutorialFound(BaseModel):
    docs: list[str]


def retrieve(question: str, top_k: int, client: ServiceClient, deadline: Deadline) -> Retrieved:
    """At most `top_k` passages, best first.

    A search service that knows only the tutorial's contract, `{"docs": [str, …]}`, will do: its passages come without
    file and score, and all words count the same.

    Raises:
        DependencyDown: it answered something else, or as ServiceClient.post.
    """
    body = client.post("/", {"question": question, "top_k": top_k}, deadline)
    try:
        return _read(question, body)
    except ValidationError as error:
        where = ".".join(map(str, error.errors()[0]["loc"]))
        raise DependencyDown(
            f"{client.name}（{client.url}）的回答不合约定：{where}",
            f"{client.name} ({client.url}) does not keep its contract: {where}",
            details={"dependency": client.name},
        ) from None


def _read(question: str, body: dict[str, Any]) -> Retrieved:
    if "hits" in body:
        found = _Found.model_validate(body)
        evidence = tuple(_evidence(n, hit) for n, hit in enumerate(found.hits, start=1))
        return Retrieved(evidence, found.idf, found.engine, found.retrieval_mode)
    docs = _TutorialFound.model_validate(body).docs
    evidence = tuple(_bare(n, doc) for n, doc in enumerate(docs, start=1))
    return Retrieved(evidence, dict.fromkeys(question_terms(question), 1.0), "ES")


def _evidence(n: int, hit: _Hit) -> Evidence:
    fields = hit.fields
    status = fields.get("status", "")
    return Evidence(
        n=n,
        title=hit.title,
        text=hit.text,
        source=fields.get("source"),
        doc_no=fields.get("doc_no"),
        date=fields.get("effective") or fields.get("issued"),
        path=fields.get("path"),
        repealed=fields.get("repealed") or (status if "废止" in status else None),
        score=hit.normalised_score,
    )


def _bare(n: int, doc: str) -> Evidence:
    title, _, text = doc.partition("\n")
    return Evidence(n, title, text or title, source=None, doc_no=None, date=None, path=None, repealed=None, score=0.0)
