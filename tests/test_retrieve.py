"""What several searches find for one question becomes one ranking."""

from dataclasses import replace
from typing import Any

import pytest
from flask import Flask, Response, jsonify, request

from es_search.app import create_app
from rag_server.retrieve import (
    LEANING,
    Ranking,
    _of_the_same_document,
    document_of,
    fuse,
    retrieve,
)
from rag_server.turn import Evidence, Understood
from service_kit.clients import ServiceClient
from service_kit.deadline import Deadline
from service_kit.errors import DependencyDown
from service_kit.settings import Settings
from tests.corpus import DISCLOSURE, GENERAL, SPECIAL, index_passages
from tests.servers import served


def evidence(*scored: tuple[str, float]) -> list[Evidence]:
    return [
        Evidence(n, title, "…", None, None, None, None, None, score) for n, (title, score) in enumerate(scored, start=1)
    ]


def titles(*rankings: Ranking, top_k: int = 3) -> list[str]:
    return [e.title for e in fuse(rankings, top_k)]


def test_the_weighted_mean_of_scores_decides() -> None:
    a, b = evidence(("甲", 0.9), ("乙", 0.5)), evidence(("丙", 0.8), ("乙", 0.7))
    assert titles(Ranking(a, 1), Ranking(b, 1)) == ["乙", "甲", "丙"]
    assert titles(Ranking(a, 9), Ranking(b, 1)) == ["甲", "乙", "丙"]
    (best,) = fuse([Ranking(a, 1), Ranking(b, 1)], 1)
    assert best.n == 1
    assert best.score == pytest.approx(0.6)


def test_a_search_may_have_a_better_reason_than_its_score() -> None:
    assert titles(Ranking(evidence(("第三十五条", 0.4), ("甲", 0.6)), 1)) == ["第三十五条", "甲"]


def test_without_scores_the_order_decides() -> None:
    assert titles(Ranking(evidence(("甲", 0.0), ("乙", 0.0)), 1)) == ["甲", "乙"]


def test_meaning_counts_half_and_for_full_forms_alone() -> None:
    alike = [replace(e, ranked_by=by) for e, by in zip(evidence(("甲", 0.2), ("乙", 0.4)), (0.9, 0.4), strict=True)]
    assert titles(Ranking(alike, 1)) == ["甲", "乙"]
    assert titles(Ranking(evidence(("丙", 0.9)), 1), Ranking(alike[::-1], 1, 0.0), top_k=2) == ["丙", "乙"]
    best, _ = fuse([Ranking(alike, 1)], 2)
    assert best.score == pytest.approx(0.2)  # the confidence was fitted on the score of words


def test_a_rewritten_question_keeps_what_it_found_by_itself(settings: Settings) -> None:
    index_passages(settings)
    with served(create_app(settings)) as url:
        client = ServiceClient("es_search", url, timeout_s=10)
        rewritten = retrieve(Understood("可以吗？", "专项债务可以吗？", "zh"), 2, client, Deadline())
        alone = retrieve(Understood("专项债务可以吗？", "专项债务可以吗？", "zh"), 2, client, Deadline())
    assert rewritten.apart == (("专项债务可以吗？", alone.evidence),)
    assert alone.apart == ()


def found(settings: Settings, understood: Understood) -> list[str]:
    index_passages(settings)
    with served(create_app(settings)) as url:
        client = ServiceClient("es_search", url, timeout_s=10)
        return [e.title for e in retrieve(understood, 2, client, Deadline()).evidence]


ASKS_ON = Understood("可以吗？", "专项债务可以吗？", "zh", GENERAL.text)


def test_a_turn_is_one_request_and_a_service_that_knows_no_more_gets_one_each(settings: Settings) -> None:
    index_passages(settings)
    app = create_app(settings)
    asked: list[dict[str, Any]] = []
    known = True

    def note() -> None:
        asked.append(request.get_json(force=True))

    def forget(response: Response) -> Response:
        body = response.get_json()
        return response if known else jsonify({key: value for key, value in body.items() if key != "more"})

    app.before_request(note)
    app.after_request(forget)
    with served(app) as url:
        client = ServiceClient("es_search", url, timeout_s=10)
        in_one = retrieve(ASKS_ON, 2, client, Deadline())
        assert [body.get("more") for body in asked] == [["可以吗？", GENERAL.text]]
        known = False
        assert retrieve(ASKS_ON, 2, client, Deadline()) == in_one
    assert [body["question"] for body in asked[1:]] == ["专项债务可以吗？", "可以吗？", GENERAL.text]


def test_more_that_keeps_no_contract_is_named(settings: Settings) -> None:
    app = Flask("other")

    @app.post("/")
    def answer() -> dict[str, Any]:
        return {"docs": [], "more": [1, 2]}

    with served(app) as url, pytest.raises(DependencyDown, match=r"contract|约定"):
        retrieve(ASKS_ON, 2, ServiceClient("es_search", url, timeout_s=10), Deadline())


def test_questions_before_tell_what_a_short_one_is_about(settings: Settings) -> None:
    alone = Understood("收入？", "收入？", "zh", completed="一般债务，收入？")
    assert found(settings, alone)[0] == GENERAL.title
    told = replace(alone, dialogue="专项债务本金通过什么偿还？，专项债券呢？，收入？")
    assert found(settings, told)[0] == SPECIAL.title


def test_a_bad_rewriting_does_not_lose_the_passage(settings: Settings) -> None:
    bad = Understood("批准的预算多少日内公开？", "专项债务预算管理，批准的预算多少日内公开？", "zh")
    assert DISCLOSURE.title in found(settings, bad)


def test_the_earlier_answer_tells_passages_apart(settings: Settings) -> None:
    asked = Understood("用于经常性支出？", "用于经常性支出？", "zh", GENERAL.text)
    assert found(settings, asked)[0] == GENERAL.title
    assert SPECIAL.title in found(settings, asked)


def test_a_passage_of_the_document_answered_from_comes_before_an_equal_one() -> None:
    equal = [replace(e, doc_no=number) for e, number in zip(evidence(("甲", 0.5), ("乙", 0.5)), "12", strict=True)]
    answered = replace(evidence(("丙", 0.9))[0], doc_no="2")
    rankings = [Ranking(equal, 10.0), Ranking([answered], 1.0)]
    bonus = _of_the_same_document(rankings, LEANING)
    assert bonus == {equal[1].content: LEANING.same_document, answered.content: LEANING.same_passage}
    assert [e.title for e in fuse(rankings, 1, bonus)] == ["乙"]
    assert fuse(rankings, 3, bonus)[0].score == fuse(rankings, 3)[1].score  # it ranks, and proves nothing
    better = [Ranking([replace(equal[0], score=0.9), equal[1]], 10.0), rankings[1]]
    assert [e.title for e in fuse(better, 1, bonus)] == ["甲"]


def test_an_article_is_of_its_law() -> None:
    first, second = evidence(("中华人民共和国预算法 第三十五条", 0.5), ("中华人民共和国预算法", 0.5))
    assert document_of(first) == document_of(second)
    assert document_of(first) != document_of(replace(first, doc_no="国务院令第729号"))
