"""Stage 2: the passages for a question, from es_search."""

from typing import Any

from rag_server.turn import Evidence, Retrieved
from service_kit.clients import ServiceClient
from service_kit.deadline import Deadline
from service_kit.passages.analysis import question_terms


def retrieve(question: str, top_k: int, client: ServiceClient, deadline: Deadline) -> Retrieved:
    """At most `top_k` passages, best first.

    A search service that knows only the tutorial's contract, `{"docs": [str, …]}`, will do: its passages come without
    file and score, and all words count the same.

    Raises:
        DependencyDown and others, as ServiceClient.post.
    """
    body = client.post("/", {"question": question, "top_k": top_k}, deadline)
    if "hits" in body:
        evidence = tuple(_evidence(n, hit) for n, hit in enumerate(body["hits"], start=1))
        return Retrieved(evidence, body["idf"], body["engine"])
    evidence = tuple(_bare(n, doc) for n, doc in enumerate(body["docs"], start=1))
    return Retrieved(evidence, dict.fromkeys(question_terms(question), 1.0), "ES")


def _evidence(n: int, hit: dict[str, Any]) -> Evidence:
    fields: dict[str, str] = hit["fields"]
    return Evidence(
        n=n,
        title=hit["title"],
        text=hit["text"],
        source=fields.get("source"),
        doc_no=fields.get("doc_no"),
        date=fields.get("effective") or fields.get("issued"),
        path=fields.get("path"),
        score=hit["normalised_score"],
    )


def _bare(n: int, doc: str) -> Evidence:
    title, _, text = doc.partition("\n")
    return Evidence(n, title, text or title, source=None, doc_no=None, date=None, path=None, score=0.0)
