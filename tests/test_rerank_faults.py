"""Rerankers that fail: the order so far is given, and said so."""

from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest

from es_search.app import create_app
from es_search.rerank import BATCH, ModelReranker, PairReranker, Reranker, choose_reranker, rerank
from service_kit.clients import ServiceClient
from service_kit.deadline import Deadline
from service_kit.passages import Passage, open_writer
from service_kit.settings import Settings, load_settings
from tests.elasticsearch_fixtures import elastic_settings, remove_indices
from tests.faulty_models import (
    Fault,
    FaultyModels,
    breaks_off,
    drips_body,
    drips_head,
    faulty_models,
    hangs,
    refuses,
    sends,
)

PASSAGES = {f"id{n}": f"p{n}" for n in range(20)}


@pytest.fixture
def models() -> Iterator[FaultyModels]:
    with faulty_models() as server:
        yield server


@pytest.fixture(params=["llm", "local"])
def reranker(request: pytest.FixtureRequest, models: FaultyModels) -> Reranker:
    client = ServiceClient("reranker", models.url, timeout_s=30)
    return ModelReranker(client) if request.param == "llm" else PairReranker(client, "m")


def each(value: Any) -> Fault:
    """This for each score, of whichever kind."""

    def send(handler: Any, answer: dict[str, Any]) -> None:
        if "scores" in answer:
            handler.send({"scores": [[value, -1.0] for _ in answer["scores"]]})
        else:
            handler.send({"results": [one | {"relevance_score": value} for one in answer["results"]]})

    return send


def resized(by: int) -> Fault:
    """So many scores more, or fewer."""

    def send(handler: Any, answer: dict[str, Any]) -> None:
        ((name, rows),) = answer.items()
        handler.send({name: [*rows, *rows][: len(rows) + by]})

    return send


FAULTS: dict[str, Fault] = {
    "500": refuses(500),
    "429": refuses(429),
    "400": refuses(400),
    "garbage": sends(b"<html>no"),
    "not utf-8": sends(b'{"scores": "\xff\xfe"}'),
    "deep": sends(b"[" * 100_000),
    "a list": sends(b"[1, 2]"),
    "nothing in it": sends(b"{}"),
    "no lists": sends(b'{"scores": 1, "results": 1}'),
    "too few": resized(-1),
    "none": resized(-BATCH),
    "too many": resized(1),
    "nan": each(float("nan")),
    "infinite": each(float("inf")),
    "minus infinite": each(float("-inf")),
    "beyond floats": each(10**400),
    "a string": each("0.9"),
    "null": each(None),
    "true": each(True),
    "breaks off": breaks_off,
}


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_the_order_so_far_whatever_it_answers(models: FaultyModels, reranker: Reranker, fault: Fault) -> None:
    models.fault = fault
    done = rerank(reranker, "问", PASSAGES, 30.0, Deadline())
    assert done.scores == {}
    assert done.skipped is not None
    models.fault = None
    assert rerank(reranker, "问", PASSAGES, 30.0, Deadline()).scores.keys() == PASSAGES.keys()


def test_what_was_reranked_before_it_failed_counts(models: FaultyModels, reranker: Reranker) -> None:
    def second(handler: Any, answer: dict[str, Any]) -> None:
        (resized(1) if len(models.seen) == 2 else type(handler).send)(handler, answer)

    models.fault = second
    done = rerank(reranker, "问", PASSAGES, 30.0, Deadline())
    assert list(done.scores) == list(PASSAGES)[:BATCH]
    assert done.skipped is not None


@pytest.mark.parametrize("fault", [hangs, drips_body, drips_head])
def test_a_reranker_that_does_not_end_is_left(models: FaultyModels, reranker: Reranker, fault: Fault) -> None:
    models.fault = fault
    done = rerank(reranker, "问", PASSAGES, 0.3, Deadline())
    assert done.scores == {}
    assert done.skipped is not None
    if fault is not hangs:
        assert models.left.wait(10)  # long before its end


def test_one_that_never_answers_is_asked_no_more_for_a_while(models: FaultyModels) -> None:
    chosen = choose_reranker(
        load_settings(reranker="local", rerank_model="m", rerank_url=models.url, rerank_budget_s=0.1)
    )
    assert chosen is not None
    models.fault = hangs
    said = [rerank(chosen, "问", PASSAGES, 0.1, Deadline()).skipped for _ in range(7)]
    assert len(models.seen) == 5
    assert said[-1] is not None
    assert "paused" in said[-1].en


@pytest.fixture(params=["embedded", "elasticsearch"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    values: dict[str, Any] = {"data": tmp_path, "rerank_model": "m", "embedder": "none"}
    if request.param == "embedded":
        yield load_settings(**values)
    else:
        made = elastic_settings(request.getfixturevalue("elasticsearch_url"), es_analysis="client", **values)
        yield made
        remove_indices(made)


def ask(settings: Settings, headers: dict[str, str] | None = None) -> dict[str, Any]:
    answer = create_app(settings).test_client().post("/", json={"question": "预算批准", "top_k": 5}, headers=headers)
    assert answer.status_code == 200, answer.text
    loaded: dict[str, Any] = answer.get_json()
    return loaded


def fill(settings: Settings, passages: Sequence[Passage]) -> None:
    with closing(open_writer(settings)) as writer:
        writer.upsert(passages)
        writer.commit()


def test_searches_do_without_it(models: FaultyModels, engine: Settings) -> None:
    fill(engine, [Passage(f"预算法{n}", f"预算第{n}次经人民代表大会批准。") for n in range(5)])
    by_words = ask(engine)
    for kind in ("llm", "local"):
        own = {"reranker": kind, "rerank_url": models.url, "rerank_budget_s": 0.3}
        settings = engine.model_copy(update=own)
        models.fault = None
        assert ask(settings)["retrieval_mode"] == "reranked"
        for name, fault in {**FAULTS, "hangs": hangs, "drips": drips_body}.items():
            models.fault = fault
            answer = ask(settings)
            assert (answer["retrieval_mode"], answer["docs"]) == ("lexical", by_words["docs"]), name
            assert answer["skipped"].keys() == {"rerank"}, name


def test_a_short_deadline_is_not_used_up_by_a_reranker_that_hangs(models: FaultyModels, engine: Settings) -> None:
    fill(engine, [Passage("预算法", "预算经人民代表大会批准。")])
    models.fault = hangs
    settings = engine.model_copy(update={"reranker": "local", "rerank_url": models.url, "rerank_budget_s": 30.0})
    answer = ask(settings, {"X-Deadline": "3"})
    assert answer["retrieval_mode"] == "lexical"
    assert answer["skipped"].keys() == {"rerank"}


def test_further_questions_do_not_wait_for_it_again(models: FaultyModels, engine: Settings) -> None:
    fill(engine, [Passage("预算法", "预算经人民代表大会批准。")])
    models.fault = hangs
    settings = engine.model_copy(update={"reranker": "local", "rerank_url": models.url, "rerank_budget_s": 0.3})
    body = {"question": "预算批准", "more": ["谁批准预算", "预算经谁批准"]}
    answer = create_app(settings).test_client().post("/", json=body).get_json()
    assert len(models.seen) == 1
    for one in (answer, *answer["more"]):
        assert one["hits"]
        assert one["retrieval_mode"] == "lexical"
        assert one["skipped"].keys() == {"rerank"}
