"""Embedding servers that fail: words only, and said so; filling goes on by itself, nothing lost, nothing twice."""

from collections.abc import Iterator
from contextlib import closing
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from service_kit.clients import breaker
from service_kit.deadline import Deadline
from service_kit.dense import index
from service_kit.dense.prefixes import Prefixes
from service_kit.dense.served import ServedEmbedder
from service_kit.dense.windows import windows
from service_kit.errors import DeadlineExceeded, DependencyDown
from service_kit.passages import Passage
from service_kit.settings import Settings
from tests.embedder_service import all_windows, counted, embedding_settings, made_up, serving
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
from tests.servers import wait_until
from tests.test_dense_search import store


def rows(change: Any) -> Fault:
    """What `change` makes of the vectors."""

    def send(handler: Any, answer: dict[str, Any]) -> None:
        changed = change([one["embedding"] for one in answer["data"]])
        data = [{"object": "embedding", "index": n, "embedding": row} for n, row in enumerate(changed)]
        handler.send(answer | {"data": data})

    return send


def first_number(value: Any) -> Fault:
    return rows(lambda vectors: [[value, *vector[1:]] for vector in vectors])


FAULTS: dict[str, Fault] = {
    "500": refuses(500),
    "429": refuses(429),
    "400": refuses(400),
    "garbage": sends(b"<html>no"),
    "deep": sends(b"[" * 100_000),
    "a list": sends(b"[1, 2]"),
    "nothing in it": sends(b"{}"),
    "no data": sends(b'{"data": null}'),
    "no index": sends(b'{"data": [{"embedding": [1.0]}, {"embedding": [1.0]}]}'),
    "fewer": rows(lambda vectors: vectors[1:]),
    "more": rows(lambda vectors: [*vectors, vectors[0]]),
    "ragged": rows(lambda vectors: [vector[:n] for n, vector in enumerate(vectors, 1)] + [[1.0]]),
    "empty": rows(lambda vectors: [[] for _ in vectors]),
    "zero": rows(lambda vectors: [[0.0] * len(vector) for vector in vectors]),
    "nan": first_number(float("nan")),
    "infinite": first_number(float("inf")),
    "too great": first_number(1e300),
    "beyond floats": first_number(10**400),
    "strings": rows(lambda vectors: [["1.0"] * len(vector) for vector in vectors]),
    "null": first_number(None),
    "breaks off": breaks_off,
}


@pytest.fixture
def models() -> Iterator[FaultyModels]:
    with faulty_models() as server:
        yield server


@pytest.fixture(autouse=True)
def _soon_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breaker, "OPEN_FOR_S", 0.05)


def embedder_of(models: FaultyModels, **more: Any) -> ServedEmbedder:
    return ServedEmbedder(f"{models.url}/v1", "m", Prefixes("", ""), None, **more)


@pytest.mark.parametrize("fault", FAULTS.values(), ids=FAULTS)
def test_what_is_no_vector_is_none(models: FaultyModels, fault: Fault) -> None:
    models.fault = fault
    with closing(embedder_of(models)) as embedder:
        with pytest.raises(DependencyDown, match="embedder"):
            embedder.embed_query("问", Deadline.after(10))
        with pytest.raises(DependencyDown, match="embedder"):
            embedder.embed_passages(["文", "文字"])
        models.fault = None
        assert embedder.embed_passages(["文", "文字"]).shape == (2, 64)
        assert embedder.embed_query("问", Deadline.after(10)).shape == (64,)


@pytest.mark.parametrize("fault", [hangs, drips_body, drips_head])
def test_an_embedder_that_does_not_end_is_left(models: FaultyModels, fault: Fault) -> None:
    models.fault = fault
    with closing(embedder_of(models)) as embedder:
        with pytest.raises(DeadlineExceeded):
            embedder.embed_query("问", Deadline.after(0.3))
        if fault is not hangs:
            assert models.left.wait(10)  # long before its end


def test_a_hurried_caller_does_not_cut_off_the_others(models: FaultyModels) -> None:
    models.fault = hangs
    with closing(embedder_of(models, budget_s=10.0)) as embedder:
        for _ in range(6):
            with pytest.raises(DeadlineExceeded):
                embedder.embed_query("问", Deadline.after(0.02))
        models.fault = None
        assert embedder.embed_query("问", Deadline.after(9)).shape == (64,)


def test_one_that_hangs_is_asked_no_more_for_a_while(models: FaultyModels, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breaker, "OPEN_FOR_S", 60.0)
    models.fault = hangs
    with closing(embedder_of(models, budget_s=0.1)) as embedder:
        for _ in range(7):
            with pytest.raises(DependencyDown) as raised:
                embedder.embed_query("问", Deadline.after(0.1))
    assert len(models.seen) == 5
    assert "paused" in str(raised.value)


@pytest.fixture(params=["embedded", "elasticsearch"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    with embedding_settings(request, tmp_path) as made:
        yield made


def test_searches_and_filling_through_all_faults(
    models: FaultyModels, engine: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    passages = made_up(10)
    store(engine, passages)
    fresh = (f"第{n}号规定拖欠工资" for n in count())
    with serving(engine, models.url, monkeypatch) as service:
        service.wait_for_vectors(10)
        for name, fault in FAULTS.items():
            models.fault = fault
            answer = service.ask(next(fresh))
            assert (answer["retrieval_mode"], list(answer["skipped"])) == ("lexical", ["dense"]), name
            assert answer["docs"], name
            more = made_up(1, first=len(passages))
            passages += more
            store(engine, more)
            wait_until(lambda: not service.vectors()["ok"], f"{name}: filling fails")
            assert counted(service) == all_windows(passages[:-1]), name
            models.fault = None
            service.wait_for_vectors(len(passages))
            assert counted(service) == all_windows(passages), name
            wait_until(lambda: service.ask(next(fresh))["retrieval_mode"] == "hybrid", f"{name}: by meaning again")
        assert service.vectors()["ok"]


@pytest.mark.parametrize("how", ["nan", "400", "500"])
def test_a_text_that_the_model_fails_at_keeps_no_others_from_their_vectors(
    models: FaultyModels, engine: Settings, monkeypatch: pytest.MonkeyPatch, how: str
) -> None:
    def fails(handler: Any, answer: dict[str, Any]) -> None:
        is_hard = any("疑难" in text for text in handler.body["input"])
        (FAULTS[how] if is_hard else type(handler).send)(handler, answer)

    models.fault = fails
    hard = [Passage(f"难法{n}", f"疑难之{n}。") for n in range(2)]
    passages = [*made_up(40), *hard]
    store(engine, passages)
    with serving(engine, models.url, monkeypatch) as service:
        wait_until(lambda: "个段落得不到向量" in service.vectors().get("message", ""), "it is told of")
        assert any(one.id in service.vectors()["message"] for one in hard)
        assert counted(service) == all_windows(passages[:40])
        assert service.ask("拖欠工资")["retrieval_mode"] == "hybrid"
        models.fault = None
        service.wait_for_vectors(42)
        assert counted(service) == all_windows(passages)


def test_a_short_deadline_is_not_used_up_by_an_embedder_that_hangs(
    models: FaultyModels, engine: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(engine, made_up(5))
    with serving(engine, models.url, monkeypatch) as service:
        service.wait_for_vectors(5)
        models.fault = hangs
        asked = len(models.seen)
        body = {"question": "拖欠工资", "more": ["工资拖欠", "不得拖欠"]}
        answer = service.client.post("/", json=body, headers={"X-Deadline": "3"})
        assert answer.status_code == 200, answer.text
        for one in (answer.get_json(), *answer.get_json()["more"]):
            assert (one["retrieval_mode"], list(one["skipped"])) == ("lexical", ["dense"])
        assert len(models.seen) == asked + 1  # further questions do not wait for it again


def test_closing_cuts_off_an_embedder_that_hangs(
    models: FaultyModels, engine: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(index, "_GRACE_S", 0.1)
    store(engine, made_up(5))
    models.fault = hangs
    with serving(engine, models.url, monkeypatch) as service:
        wait_until(lambda: bool(models.seen), "filling asks")
        keeper = service.meanings[0]._keeper
        assert keeper is not None
        keeper.close()
        assert not keeper._thread.is_alive()


def test_another_model_under_the_same_name(
    models: FaultyModels, engine: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    passages = made_up(10)
    store(engine, passages)
    with serving(engine, models.url, monkeypatch) as service:
        service.wait_for_vectors(10)
        assert service.ask("拖欠工资")["retrieval_mode"] == "hybrid"
        models.dimension = 32
        answer = service.ask("不得拖欠")
        assert answer["retrieval_mode"] == "lexical"
        assert "--drop-vectors" in answer["skipped"]["dense"]
        assert service.ask("拖欠工资")["retrieval_mode"] == "hybrid"  # its vector is known
        more = made_up(1, first=10)
        store(engine, more)
        wait_until(lambda: "--drop-vectors" in service.vectors().get("message", ""), "filling says what to do")
        assert counted(service) == all_windows(passages)

        models.dimension = 64
        service.wait_for_vectors(11)
        assert service.ask("不得拖欠")["retrieval_mode"] == "hybrid"

        models.dimension = 32
        dense = service.meanings[0].index
        assert dense is not None
        dense.vectors.drop()
        store(engine, made_up(1, first=11))
        service.wait_for_vectors(12)
        assert counted(service) == all_windows([*passages, *more, *made_up(1, first=11)])
        for question in ("拖欠工资", "不得拖欠"):  # both were asked when vectors were longer
            wait_until(lambda asked=question: service.ask(asked)["retrieval_mode"] == "hybrid", "by meaning again")  # type: ignore[misc]


def test_a_model_that_changes_amid_the_work(
    models: FaultyModels, engine: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    sentence = "用人单位应当按时足额支付劳动者的工资与补贴，" * 6
    passages = [Passage(f"法{n:02}", f"第{n:02}号，{sentence[:120]}。" * 8) for n in range(16)]
    assert {len(one) for passage in passages for one in windows(passage.title, passage.text)} == {130}
    assert all_windows(passages) == (16, 128)  # four requests, the third of which begins with another passage
    requests = count(1)

    def shorter(handler: Any, answer: dict[str, Any]) -> None:
        length = 32 if next(requests) in (3, 4) else 64
        rows(lambda vectors: [vector[:length] for vector in vectors])(handler, answer)

    models.fault = shorter
    store(engine, passages)
    with serving(engine, models.url, monkeypatch) as service:
        wait_until(lambda: not service.vectors()["ok"], "it is seen")
        service.wait_for_vectors(16)
        assert counted(service) == all_windows(passages)
        assert service.ask("拖欠工资")["retrieval_mode"] == "hybrid"
