"""es_search whose vectors come from a server of `/v1/embeddings`, on either engine, and what is to be in its index."""

from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from service_kit.dense.choose import choose_embedder
from service_kit.dense.windows import windows
from service_kit.passages import Passage
from service_kit.settings import Settings, load_settings
from tests.elasticsearch_fixtures import elastic_settings, remove_indices
from tests.test_dense_search import Service


@contextmanager
def embedding_settings(request: pytest.FixtureRequest, data: Path) -> Iterator[Settings]:
    """Of the engine that `request.param` names."""
    values: dict[str, Any] = {"data": data, "embedder": "openai", "embed_model": "m", "embed_budget_s": 5.0}
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
