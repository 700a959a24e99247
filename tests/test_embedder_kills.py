"""kill -9 of the embedding server, and of es_search while it makes vectors: nothing is lost, nothing is there twice."""

import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from itertools import count
from pathlib import Path
from typing import Any

import pytest

from service_kit.clients import breaker
from service_kit.dense import elastic_lease
from service_kit.settings import Settings
from tests.embedder_service import all_windows, counted, embedding_settings, made_up, serving
from tests.faulty_models import Handler, faulty_models, hangs
from tests.servers import free_port, service_process, wait_until
from tests.test_dense_search import store


@pytest.fixture(params=["embedded", "elasticsearch"])
def engine(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    with embedding_settings(request, tmp_path / "data") as made:
        yield made


@pytest.fixture(autouse=True)
def _soon_tried_again(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(breaker, "OPEN_FOR_S", 0.05)


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


def hangs_at_the_fourth(handler: Handler, answer: dict[str, Any]) -> None:
    (Handler.send if len(handler.server.seen) < 4 else hangs)(handler, answer)


@pytest.mark.parametrize(
    ("engine", "folder"),
    [("embedded", "the same"), ("elasticsearch", "the same"), ("elasticsearch", "another")],
    indirect=["engine"],
)
def test_es_search_killed_while_it_fills(
    engine: Settings, folder: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    passages = made_up(150)
    store(engine, passages)
    port = free_port()
    env = {
        "YIJU_SEARCH_PORT": str(port),
        "YIJU_DATA": str(engine.data),
        "YIJU_EMBEDDER": "openai",
        "YIJU_EMBED_MODEL": "m",
    }
    if engine.search == "elasticsearch":
        env |= {
            "YIJU_SEARCH": "elasticsearch",
            "YIJU_ES_URLS": engine.es_hosts[0],
            "YIJU_ES_INDEX": engine.es_index,
            "YIJU_ES_ANALYSIS": "client",
        }
    with faulty_models() as models:
        models.fault = hangs_at_the_fourth
        with service_process("search", env | {"YIJU_EMBED_URL": f"{models.url}/v1"}, tmp_path / "log") as killed:
            wait_until(lambda: len(models.seen) == 4, "it is amid the work")
            killed.kill()
            killed.wait()
        models.fault = None
        successor = engine
        if folder == "another":
            monkeypatch.setattr(elastic_lease, "LEASE_S", 1.0)
            successor = engine.model_copy(update={"data": tmp_path / "another"})
        with serving(successor, models.url, monkeypatch) as service:
            if folder == "another":
                wait_until(lambda: bool(service.vectors().get("made_elsewhere")), "it says that it waits")
            service.wait_for_vectors(150)
            assert "made_elsewhere" not in service.vectors()
            assert counted(service) == all_windows(passages)
            assert len(models.seen) == 4 + 7  # of ten batches three were done
            assert service.ask("拖欠工资")["retrieval_mode"] == "hybrid"
