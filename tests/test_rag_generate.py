"""Answers by a model: a real llm_server whose engine plays a script."""

from collections.abc import Iterator
from typing import Any

import pytest

from rag_server.app import create_app
from service_kit.errors import ContextTooLong, GenerationFailed, ModelUnavailable, Overloaded, PayloadTooLarge
from service_kit.generation import Message
from service_kit.settings import Settings
from tests.corpus import SPECIAL
from tests.rag_fixtures import PATH, QUESTION, Rag, ask, rag, searching, with_changes

TRUE = "专项债务收入应当用于公益性资本支出，不得用于经常性支出[1]。"
FALSE = "专项债务收入应当在30日内用于公益性资本支出[1]。"
BARE = "专项债务收入应当用于公益性资本支出，不得用于经常性支出。"


@pytest.fixture
def wired(settings: Settings) -> Iterator[Settings]:
    with searching(settings) as found:
        yield found


@pytest.fixture
def served(wired: Settings) -> Iterator[Rag]:
    with rag(wired, TRUE) as found:
        yield found


def test_the_model_gets_numbered_references(served: Rag) -> None:
    body = ask(served.client, QUESTION)
    assert (body["response"], body["answer_mode"], body["retrieval_mode"]) == (TRUE, "generate", "lexical")
    prompt = served.engine.requests[0].prompt[-1]
    assert isinstance(prompt, Message)
    assert SPECIAL.text in prompt.content
    assert QUESTION in prompt.content
    assert body["evidence"][0]["highlights"]
    assert (body["verified"], body["stopped"], body["notices"]) == (True, False, [])
    assert body["sentences"] == [{"text": TRUE, "cites": [1], "verified": True, "added": False, "reason": None}]


def test_what_is_not_in_the_passage_is_marked_with_its_reason(served: Rag) -> None:
    served.engine.steps = (TRUE, FALSE)
    body = ask(served.client, QUESTION)
    wrong = body["sentences"][1]
    assert (body["verified"], wrong["text"], wrong["verified"]) == (False, FALSE, False)
    assert body["response"].startswith(TRUE + FALSE + "（未核实：")
    assert wrong["reason"]


def test_a_missing_mark_is_added_and_said_to_be(served: Rag) -> None:
    served.engine.steps = (BARE,)
    body = ask(served.client, QUESTION)
    assert body["sentences"] == [{"text": BARE, "cites": [1], "verified": True, "added": True, "reason": None}]
    assert body["response"] == BARE + "[1]"


def test_the_history_holds_bare_questions_and_no_marks_of_ours(served: Rag) -> None:
    served.engine.steps = (FALSE,)
    ask(served.client, "什么是专项债务？")
    ask(served.client, "什么是一般债务？")
    assert served.engine.requests[1].prompt[:2] == (Message("user", "什么是专项债务？"), Message("assistant", FALSE))


@pytest.mark.parametrize(
    "steps",
    [
        (GenerationFailed("坏", "broken"),),
        (" ",),
        ("专项", GenerationFailed("坏", "broken")),
        (ModelUnavailable("无", "none"),),
        (ContextTooLong("长", "long"),),
        (PayloadTooLarge("大", "large"),),
    ],
)
def test_a_model_that_fails_leaves_the_quotation(served: Rag, steps: Any) -> None:
    served.engine.steps = steps
    body = ask(served.client, QUESTION)
    assert (body["answer_mode"], len(body["notices"]), len(body["docs"])) == ("extract", 1, 2)
    assert "不得用于经常性支出" in body["response"]


def test_a_model_is_not_asked_in_a_language_it_does_not_speak(wired: Settings) -> None:
    with rag(wired, TRUE, model_langs="en") as served:
        body = ask(served.client, "什么是一般债务？")
        assert body["answer_mode"] == "extract"
        assert "语言" in body["notices"][0]
        assert ask(served.client, "它应当通过什么偿还？")["new_query"] == "一般债务应当通过什么偿还？"
        assert not served.engine.requests


def test_overload_is_passed_on(served: Rag) -> None:
    served.engine.refusal = Overloaded("满", "full", retry_after=8)
    response = served.client.post(PATH, json={"id": 1, "content": "什么是专项债务？"})
    assert (response.status_code, response.headers["Retry-After"]) == (429, "8")
    assert response.get_json()["error"]["retry_after"] == 8


def test_a_failed_turn_leaves_no_history(served: Rag) -> None:
    served.engine.refusal = Overloaded("满", "full")
    served.client.post(PATH, json={"id": "s1", "content": "什么是专项债务？"})
    served.engine.refusal = None
    assert ask(served.client, "它通过什么偿还？")["new_query"] == "它通过什么偿还？"


def test_must_generate_means_no_quotation(wired: Settings) -> None:
    client = create_app(with_changes(wired, answer="generate")).test_client()
    response = client.post(PATH, json={"id": 1, "content": "什么是专项债务？"})
    assert response.status_code == 503
    assert response.get_json()["error"]["dependency"] == "llm_server"


def test_nothing_found_costs_no_model_call(served: Rag) -> None:
    body = ask(served.client, "quantum chromodynamics")
    assert (body["refused"], body["docs"], body["evidence"], body["sentences"]) == (True, [], [], [])
    assert not served.engine.requests
