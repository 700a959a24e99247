"""Stage 2: the passages for a question, from es_search."""

from collections import defaultdict
from collections.abc import Sequence
from dataclasses import replace
from itertools import accumulate
from typing import Any

from pydantic import BaseModel, ValidationError

from rag_server.turn import Evidence, Retrieved, Understood
from service_kit.clients import ServiceClient
from service_kit.deadline import Deadline
from service_kit.errors import DependencyDown
from service_kit.passages.analysis import question_terms


class _Hit(BaseModel):
    title: str
    text: str
    fields: dict[str, str]
    normalised_score: float
    ranked_by: float | None = None


class _Found(BaseModel):
    """What es_search answers. `idf` is keyed by the terms of `question_terms`: quoting finds sentences by them."""

    hits: list[_Hit]
    idf: dict[str, float]
    engine: str
    retrieval_mode: str = "lexical"


class _TutorialFound(BaseModel):
    docs: list[str]


DEPTH = 30
"""Passages of each search that are fused; a passage found by one search alone ranks behind what several agree on."""
CONTEXT_WEIGHT = 0.5
"""Of the earlier turn beside a rewritten question: measured on the development half of the follow-ups, flat from 0.2 to
0.5."""
DOUBTFUL_WEIGHT = 0.7
"""Of the completed form beside a question that may stand alone: flat there from 0.7 to 1, two points worse at 0.5."""


MEANING = 0.5
"""How much of what meaning adds to words (see es_search.fusion) counts for the question in its full form; none of it
for the others: what a fragment or a long quotation resembles says little of what is asked. Measured there, with vectors
of 3,700 passages: R@2 0.88 at 0.2, 0.91 to 0.92 from 0.3 to 0.6, 0.89 at 1; 0.86 with all of it for all searches."""


def retrieve(understood: Understood, top_k: int, client: ServiceClient, deadline: Deadline) -> Retrieved:
    """At most `top_k` passages, best first.

    A rewritten question is searched as it was asked, too, and what the earlier turn answered is searched beside it; see
    `fuse`. A question that stands alone is one search, a short one with a history two. A search service that knows only
    the tutorial's contract, `{"docs": [str, …]}`, will do: its passages come without file and score, and all words
    count the same.

    Raises:
        DependencyDown: it answered something else, or as ServiceClient.post.
    """
    if understood.new_query == understood.query and not understood.context:
        return _search(understood.query, top_k, client, deadline)
    depth = max(top_k, DEPTH)
    queries = tuple(dict.fromkeys((understood.new_query, understood.query)))
    searches = [_search(query, depth, client, deadline) for query in queries]
    rankings = [(found.evidence, _information(found, query)) for found, query in zip(searches, queries, strict=True)]
    if understood.context:
        beside = _search(understood.context, depth, client, deadline)
        weight = CONTEXT_WEIGHT if len(queries) > 1 else DOUBTFUL_WEIGHT
        rankings.append((beside.evidence, weight * rankings[0][1]))
    idf = {term: value for found in searches for term, value in found.idf.items()}
    apart = searches[0].evidence[:top_k] if len(queries) > 1 else ()
    return replace(searches[0], evidence=fuse(rankings, top_k), idf=idf, apart=apart)


def fuse(rankings: Sequence[tuple[Sequence[Evidence], float]], top_k: int) -> tuple[Evidence, ...]:
    """The `top_k` passages with the greatest weighted mean of scores over all rankings, the question's own first.

    Scores, not ranks: they are shares of what a query could score, so with weights that say how much a query asks for
    the sum is BM25's of all queries in one. Reciprocal ranks lose 5 to 13 points of R@2 here: a bare follow-up ranks
    passages all the same, by chance.
    """
    total = sum(weight for _, weight in rankings) or 1.0
    best: dict[str, Evidence] = {}
    worth: dict[str, float] = defaultdict(float)
    scores: dict[str, float] = defaultdict(float)
    for n, (evidence, weight) in enumerate(rankings):
        for e, value in zip(evidence, _descending(evidence, 0.0 if n else MEANING), strict=True):
            best.setdefault(e.content, e)
            worth[e.content] += weight / total * value
            scores[e.content] += weight / total * (value if e.ranked_by is None else e.score)
    ranked = sorted(worth, key=lambda content: -worth[content])[:top_k]
    return tuple(replace(best[content], n=n, score=scores[content]) for n, content in enumerate(ranked, start=1))


def _descending(evidence: Sequence[Evidence], meaning: float) -> list[float]:
    """The scores, with a share of what `meaning` added, raised where a search had a better reason to put a passage
    before others (a named article, a document in force). Where there are none (the tutorial's contract), the order
    stands for them."""
    added = [0.0 if e.ranked_by is None else e.ranked_by - e.score for e in evidence]
    scores = [max(0.0, e.score + meaning * more) or 1 / (60 + e.n) for e, more in zip(evidence, added, strict=True)]
    return list(accumulate(reversed(scores), max))[::-1]


def _information(found: Retrieved, question: str) -> float:
    """How much a question asks for: the idf of its terms, each as often as it occurs."""
    return sum(found.idf.get(term, 0.0) for term in question_terms(question))


def _search(question: str, top_k: int, client: ServiceClient, deadline: Deadline) -> Retrieved:
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
    return Retrieved(evidence, dict.fromkeys(question_terms(question), 1.0), "ES", scored=False)


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
        ranked_by=hit.ranked_by,
    )


def _bare(n: int, doc: str) -> Evidence:
    title, _, text = doc.partition("\n")
    return Evidence(n, title, text or title, source=None, doc_no=None, date=None, path=None, repealed=None, score=0.0)
