"""Fixtures that several test files use."""

import os
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest

from llm_server.engines.serial import SerialEngine
from service_kit.settings import Settings, load_settings
from service_kit.settings_sources import PREFIX
from tests.baichuan2_fixtures import SIZES, make_baichuan2
from tests.elasticsearch_fixtures import elastic_settings, remove_indices
from tests.llm_fixtures import make_tiny_model
from tests.serial_fixtures import loaded_engine
from tools.elasticsearch_server import elasticsearch_server

ENGINES = ("embedded", "elasticsearch-client", "elasticsearch-ik")
"""Each engine that passage indices have, by engine and analysis."""

NO_EMBEDDER = (f"{PREFIX}EMBEDDER", "none")
"""Tests of vectors ask for them: with e5 installed, every index would else be given some."""
os.environ.update([NO_EMBEDDER])  # also before the first test, for fixtures of whole modules


@pytest.fixture(autouse=True)
def _clean_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    """No test sees the developer's own `YIJU_*` settings, but for those that name test servers."""
    for name in os.environ:
        if name.startswith(PREFIX) and not name.startswith(f"{PREFIX}TEST_"):
            monkeypatch.delenv(name)
    monkeypatch.setenv(*NO_EMBEDDER)


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    """Default settings with a data folder of this test's own."""
    return load_settings(data=tmp_path / "data")


@pytest.fixture(scope="session")
def elasticsearch_url() -> Iterator[str]:
    """The server that YIJU_TEST_ES_URL names, else one that is built and started here; with neither possible, tests
    fail with what is missing."""
    if url := os.environ.get("YIJU_TEST_ES_URL"):
        yield url
    else:
        with elasticsearch_server() as url:
            yield url


@pytest.fixture(scope="module", params=ENGINES)
def make_settings(
    request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory
) -> Iterator[Callable[[], Settings]]:
    """Makes settings of an empty index of its own, in each engine in turn."""
    engine, _, analysis = request.param.partition("-")
    made: list[Settings] = []

    def make() -> Settings:
        data = tmp_path_factory.mktemp("data")
        if engine == "embedded":
            return load_settings(data=data)
        made.append(elastic_settings(request.getfixturevalue("elasticsearch_url"), es_analysis=analysis, data=data))
        return made[-1]

    yield make
    for settings in made:
        remove_indices(settings)


@pytest.fixture(scope="session")
def tiny_llama(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of a random model of two layers, whose tokens are bytes."""
    return make_tiny_model(tmp_path_factory.mktemp("tiny"))


@pytest.fixture(scope="module")
def serial_engine(tiny_llama: Path) -> Iterator[SerialEngine]:
    """An engine that has loaded it."""
    engine = loaded_engine(tiny_llama)
    yield engine
    engine.close()


@pytest.fixture(scope="session")
def baichuan2_folders(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """Random checkpoints in the published layout, by kind."""
    return {kind: make_baichuan2(tmp_path_factory.mktemp(kind), kind) for kind in SIZES}


@pytest.fixture(params=SIZES)
def baichuan2_folder(request: pytest.FixtureRequest, baichuan2_folders: dict[str, Path]) -> Path:
    """Each of them in turn."""
    return baichuan2_folders[request.param]


@pytest.fixture(scope="module")
def one_compute_thread() -> Iterator[None]:
    """For what is computed here to compare with: two threads on a busy machine wait for each other."""
    import torch

    before = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(before)
