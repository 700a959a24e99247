"""Embedding servers that fail: words only, and said so; filling goes on by itself, nothing lost, nothing twice."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from service_kit.clients import breaker
from service_kit.deadline import Deadline
from service_kit.dense import index
from service_kit.dense.choose import choose_embedder
from service_kit.dense.prefixes import Prefixes
from service_kit.dense.served import ServedEmbedder
from service_kit.dense.windows import windows
from service_kit.errors import DeadlineExceeded, DependencyDown
from service_kit.passages import Passage
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
from tests.servers import free_port, wait_until
from tests.test_dense_search import Service, store

LONG = Passage("长法", "".join(f"第{n}项规定用人单位应当按时足额支付劳动者的各项工资与补贴。" for n in range(400)))
"""Windows of several requests."""


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
    values: dict[str, Any] = {"data": tmp_path, "embedder": "openai", "embed_model": "m", "embed_budget_s": 5.0}
    if request.param == "embedded":
        yield load_settings(**values)
    else:
        made = elastic_settings(request.getfixturevalue("elasticsearch_url"), es_analysis="client", **values)
        yield made
        remove_indices(made)


@contextmanager
def serving(settings: Settings, url: str, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    own = settings.model_copy(update={"embed_url": f"{url}/v1"})
    embedder: Any = choose_embedder(own)
    with closing(Service(own, monkeypatch, embedder)) as service:
        yield service


def made_up(number: int, first: int = 0) -> list[Passage]:
    return [Passage(f"法{n}", f"第{n}号规定：用人单位不得拖欠工资，违者处罚。") for n in range(first, first + number)]


def counted(service: Service) -> tuple[int, int]:
    dense = service.meanings[0].index
    assert dense is not None
    dense.vectors.refresh()
    return dense.vectors.count()


def all_windows(passages: list[Passage]) -> tuple[int, int]:
    return len(passages), sum(len(windows(one.title, one.text)) for one in passages)


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


def test_a_short_deadline_is_not_used_up_by_an_embedder_that_hangs(
    models: FaultyModels, engine: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(engine, made_up(5))
    with serving(engine, models.url, monkeypatch) as service:
        service.wait_for_vectors(5)
        models.fault = hangs
        answer = service.client.post("/", json={"question": "拖欠工资"}, headers={"X-Deadline": "3"})
        assert answer.status_code == 200, answer.text
        assert answer.get_json()["retrieval_mode"] == "lexical"
        assert list(answer.get_json()["skipped"]) == ["dense"]


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


def test_a_model_that_changes_amid_a_passage(
    models: FaultyModels, engine: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    passages = [*made_up(3), LONG]
    assert all_windows(passages)[1] > 64  # several requests, and several calls of the embedder
    changed = iter(range(10))

    def shorter(handler: Any, answer: dict[str, Any]) -> None:
        half = next(changed, 10) % 4 >= 2  # of four requests the last two
        rows(lambda vectors: [vector[: 32 if half else 64] for vector in vectors])(handler, answer)

    models.fault = shorter
    store(engine, passages)
    with serving(engine, models.url, monkeypatch) as service:
        wait_until(lambda: not service.vectors()["ok"], "it is seen")
        assert counted(service) == (0, 0)
        models.fault = None
        service.wait_for_vectors(4)
        assert counted(service) == all_windows(passages)
        assert service.ask("拖欠工资")["retrieval_mode"] == "hybrid"


@contextmanager
def process(port: int, *dies_at: int) -> Iterator[subprocess.Popen[bytes]]:
    started = subprocess.Popen([sys.executable, "-m", "tests.faulty_models", str(port), *map(str, dies_at)])
    try:
        yield started
    finally:
        started.kill()
        started.wait()


def test_a_server_that_is_killed_and_comes_back(engine: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    passages = made_up(150)
    store(engine, passages)
    port = free_port()
    fresh = (f"第{n}号规定拖欠工资" for n in count())
    with serving(engine, f"http://127.0.0.1:{port}", monkeypatch) as service:
        for _ in range(3):
            with process(port, 3) as server:  # amid filling
                server.wait(30)
            assert service.ask(next(fresh))["retrieval_mode"] == "lexical"
            wait_until(lambda: not service.vectors()["ok"], "the loss is seen")
            assert 0 < counted(service)[0] < 150
        with process(port):
            service.wait_for_vectors(150)
            assert counted(service) == all_windows(passages)
            wait_until(lambda: service.ask(next(fresh))["retrieval_mode"] == "hybrid", "by meaning again")
        with process(port, 1) as server:  # amid a search
            wait_until(
                lambda: service.ask(next(fresh))["skipped"].keys() == {"dense"} and bool(server.poll()), "killed"
            )
        with process(port):
            wait_until(lambda: service.ask(next(fresh))["retrieval_mode"] == "hybrid", "by meaning once more")
            assert counted(service) == all_windows(passages)
