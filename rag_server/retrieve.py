"""Stage 2: the passages for a question, from es_search."""

import re
from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import replace
from itertools import accumulate
from types import MappingProxyType
from typing import Any, NamedTuple

from pydantic import BaseModel, ValidationError

from rag_server.turn import Evidence, Retrieved, Understood
from service_kit.clients import ServiceClient
from service_kit.deadline import Deadline
from service_kit.errors import DependencyDown
from service_kit.passages.analysis import question_terms

_ARTICLE = re.compile(r"\s*第[一二三四五六七八九十百零\d]+条.*$")


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


DEPTH = 100
"""Passages of each search that are fused. One found by one search alone ranks behind what several agree on, and among
thousands of passages about something else the right one may come late in each."""


class _Weights(NamedTuple):
    """What counts beside a question's own form, whose weight is 1."""

    completed: float
    dialogue: float
    dialogue_meaning: float
    """How much of its meaning counts, see `MEANING`."""
    context: float
    same_document: float
    """What it counts for a passage that it is of the document that the earlier answer came from, in idf: about as much
    as a word more, so that a passage with better words still wins. The less a question says itself, the more."""
    same_passage: float
    """And for that passage itself: rather another one is asked for, and its words are in the full form already."""


MEANING = 0.5
"""How much of what meaning adds to words (see es_search.fusion) counts for a question in a full form, and for the last
questions beside one that may stand alone; none of it for the others: what a fragment or a long quotation resembles says
little of what is asked. R@2 of follow-ups with e5, before the last questions were searched, was 0.89 at 0.4, 0.91 at
0.5, 0.90 at 0.7."""
LEANING = _Weights(completed=0.6, dialogue=0.2, dialogue_meaning=0.0, context=0.2, same_document=3.0, same_passage=0.0)
"""Beside a question in its full form."""
DOUBTFUL = _Weights(
    completed=0.6, dialogue=1.0, dialogue_meaning=MEANING, context=0.07, same_document=5.0, same_passage=2.0
)
"""Beside a question that may stand alone.

All these were chosen with the dialogues of `followups.jsonl`, by words and with e5: R@2 is flat around them."""


class Ranking(NamedTuple):
    """What a search found, best first, its weight, and how much of its meaning counts."""

    evidence: Sequence[Evidence]
    weight: float
    meaning: float = MEANING


def retrieve(understood: Understood, top_k: int, client: ServiceClient, deadline: Deadline) -> Retrieved:
    """At most `top_k` passages, best first.

    A rewritten question is searched as it was asked, too, with the questions before it, and what the earlier turn
    answered is searched beside it, and the form made without a model beside the model's; see `fuse`. A question that
    stands alone is one search, a short one with a history four; all of a turn go in one request. A search service that
    knows only the tutorial's contract, `{"docs": [str, …]}`, will do: its passages come without file and score, and all
    words count the same.

    Raises:
        DependencyDown: it answered something else, or as ServiceClient.post.
    """
    leans = understood.new_query != understood.query
    if not leans and not understood.completed:
        return _searches([understood.query], top_k, client, deadline)[0]
    weights = LEANING if leans else DOUBTFUL
    forms = _forms(understood, weights)
    context = [understood.context] if understood.context else []
    searches = _searches([*forms, *context], max(top_k, DEPTH), client, deadline)
    beside = searches.pop().evidence if context else ()
    if leans:
        asked_for = [_information(found, form) for found, form in zip(searches, forms, strict=True)]
    else:  # the other forms are guesses
        asked_for = [_information(searches[0], understood.query)] * len(forms)
    rankings = [
        Ranking(found.evidence, information * weight, meaning)
        for found, information, (weight, meaning) in zip(searches, asked_for, forms.values(), strict=True)
    ]
    bonus: Mapping[str, float] = {}
    if context:
        rankings.append(Ranking(beside, asked_for[0] * weights.context, 0.0))
        bonus = _of_the_same_document(rankings, weights)
    idf = {term: value for found in searches for term, value in found.idf.items()}
    # A guess proves nothing: with the earlier question before it anything has a basis.
    full = {understood.new_query, understood.completed} if leans else {understood.query}
    apart = [(q, found.evidence[:top_k]) for q, found in zip(forms, searches, strict=True) if q in full]
    return replace(searches[0], evidence=fuse(rankings, top_k, bonus), idf=idf, apart=tuple(apart))


def _forms(understood: Understood, weights: _Weights) -> dict[str, tuple[float, float]]:
    """The forms of a question that are searched, the full one first: what each counts, and how much of its meaning."""
    forms = {understood.new_query: (1.0, MEANING)}
    forms.setdefault(understood.query, (1.0, 0.0))
    forms.setdefault(understood.completed, (weights.completed, MEANING))
    forms.setdefault(understood.dialogue, (weights.dialogue, weights.dialogue_meaning))
    return {text: counts for text, counts in forms.items() if text}


def _of_the_same_document(rankings: Sequence[Ranking], weights: _Weights) -> dict[str, float]:
    """By content, what it counts for passages to be of the document of the last ranking's best one: where the earlier
    answer came from."""
    best = next(iter(rankings[-1].evidence), None)
    if best is None:
        return {}
    found = [e for ranking in rankings for e in ranking.evidence]
    alike = {e.content: weights.same_document for e in found if document_of(e) == document_of(best)}
    return alike | {best.content: weights.same_passage}


def document_of(evidence: Evidence) -> str:
    """What the passages of one document have in common: its 文号, else its title without the article.

    >>> from dataclasses import replace
    >>> bare = Evidence(1, "中华人民共和国预算法 第三十五条", "…", None, None, None, None, None, 0.5)
    >>> document_of(bare), document_of(replace(bare, doc_no="国务院令第729号"))
    ('中华人民共和国预算法', '国务院令第729号')
    """
    return evidence.doc_no or _ARTICLE.sub("", evidence.title)


def fuse(
    rankings: Sequence[Ranking], top_k: int, bonus: Mapping[str, float] = MappingProxyType({})
) -> tuple[Evidence, ...]:
    """The `top_k` passages with the greatest weighted mean of scores over all rankings, the question's own first.

    Scores, not ranks: they are shares of what a query could score, so with weights that say how much a query asks for
    the sum is BM25's of all queries in one; a `bonus` (by content, in idf) is another term of it, which ranks but does
    not raise the score that the confidence rests on. Reciprocal ranks lose 5 to 13 points of R@2 here: a bare follow-up
    ranks passages all the same, by chance.
    """
    total = sum(ranking.weight for ranking in rankings) or 1.0
    best: dict[str, Evidence] = {}
    worth: dict[str, float] = defaultdict(float)
    scores: dict[str, float] = defaultdict(float)
    for evidence, weight, meaning in rankings:
        for e, value in zip(evidence, _descending(evidence, meaning), strict=True):
            best.setdefault(e.content, e)
            worth[e.content] += weight / total * value
            scores[e.content] += weight / total * (value if e.ranked_by is None else e.score)
    ranked = sorted(worth, key=lambda content: -worth[content] - bonus.get(content, 0.0) / total)[:top_k]
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


def _searches(questions: Sequence[str], top_k: int, client: ServiceClient, deadline: Deadline) -> list[Retrieved]:
    """What each question finds: in one request where the service understands `more`, else in one each."""
    first, *rest = questions
    body = client.post("/", {"question": first, "top_k": top_k, **({"more": rest} if rest else {})}, deadline)
    more = body.get("more")
    if rest and not (isinstance(more, list) and len(more) == len(rest)):
        more = [client.post("/", {"question": question, "top_k": top_k}, deadline) for question in rest]
    try:
        answers = [body, *({"engine": body.get("engine")} | one for one in more or ())]
        return [_read(question, answer) for question, answer in zip(questions, answers, strict=True)]
    except (ValidationError, TypeError) as error:
        where = ".".join(map(str, error.errors()[0]["loc"])) if isinstance(error, ValidationError) else "more"
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
