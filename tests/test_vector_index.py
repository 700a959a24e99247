"""What every engine does with vectors: one suite, whichever engine keeps them."""

from collections.abc import Callable, Iterator
from contextlib import ExitStack, closing
from pathlib import Path

import numpy as np
import pytest
from elasticsearch import Elasticsearch

from service_kit.deadline import Deadline
from service_kit.dense import elastic_lease
from service_kit.dense.elastic_requests import alias_of
from service_kit.dense.elastic_vectors import ElasticVectors
from service_kit.dense.engines import open_vectors
from service_kit.dense.vector_index import VectorIndex
from service_kit.dense.vectors import unit
from service_kit.errors import DeadlineExceeded, DependencyDown, IndexLocked, VectorsMismatch
from service_kit.passages.elastic_connection import connect
from service_kit.settings import Settings, load_settings
from tests.dense_fixtures import bunched
from tests.elasticsearch_fixtures import elastic_settings, remove_indices

Open = Callable[[], VectorIndex]


@pytest.fixture(params=["embedded", "elasticsearch"])
def settings(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    if request.param == "embedded":
        yield load_settings(data=tmp_path)
    else:
        made = elastic_settings(request.getfixturevalue("elasticsearch_url"), data=tmp_path)
        yield made
        remove_indices(made)


@pytest.fixture
def open_one(settings: Settings) -> Iterator[Open]:
    """Opens the same vectors, as each process does."""
    with ExitStack() as stack:
        yield lambda: stack.enter_context(closing(open_vectors(settings)))


def fill(vectors: VectorIndex, passages: dict[str, np.ndarray], identity: str = "one") -> None:
    with vectors.filling(wait=False) as mine:
        assert mine
        vectors.add(identity, passages)
        vectors.settle(finished=True)


def soon() -> Deadline:
    return Deadline.after(30)


def test_nothing_is_there_before_the_first(open_one: Open) -> None:
    vectors = open_one()
    vectors.refresh()
    vectors.check_identity("any")
    assert vectors.near(bunched(1)[0], 10, ["a"], soon()) == ({}, {})
    assert vectors.passages() == set()
    assert vectors.count() == (0, 0)
    vectors.remove(["a"])
    vectors.drop()


def test_the_best_window_counts(open_one: Open) -> None:
    vectors = open_one()
    rows = bunched(9)
    passages = {"a": rows[:3], "b": rows[3:4], "c": rows[4:]}
    fill(vectors, passages)
    assert vectors.passages() == {"a", "b", "c"}
    assert vectors.count() == (3, 9)
    cosines = {one: matrix @ rows[1] for one, matrix in passages.items()}
    near = vectors.near(rows[1], 2, ["c", "unknown"], soon())
    best = sorted(cosines, key=lambda one: -cosines[one].max())[:2]
    assert list(near.nearest) == best == ["a", best[1]]
    assert list(near.given) == ["c"]
    for one, like in (near.nearest | near.given).items():
        assert like.window == cosines[one].argmax()
        assert like.cosine == pytest.approx(cosines[one].max(), abs=1e-3)
    with pytest.raises(DeadlineExceeded):
        vectors.near(rows[1], 2, [], Deadline.after(-1))


def test_a_passage_is_stored_once(open_one: Open) -> None:
    vectors = open_one()
    for _ in range(2):
        fill(vectors, {"a": bunched(3), "b": bunched(2)})
    assert vectors.count() == (2, 5)
    vectors.remove(["a", "unknown"])
    assert vectors.passages() == {"b"}
    assert vectors.count() == (1, 2)


def test_vectors_of_two_models_are_not_mixed(open_one: Open) -> None:
    vectors = open_one()
    fill(vectors, {"a": bunched(2)})
    with pytest.raises(VectorsMismatch, match="--drop-vectors"):
        fill(vectors, {"b": bunched(1)}, "other")
    with pytest.raises(VectorsMismatch, match="--drop-vectors"):
        fill(vectors, {"b": bunched(1, dimension=32)})
    other = open_one()
    other.refresh()
    with pytest.raises(VectorsMismatch, match="one"):
        other.check_identity("other")
    other.check_identity("one")
    with vectors.filling(wait=True):
        vectors.drop()
    fill(vectors, {"b": bunched(1, dimension=32)}, "other")
    assert vectors.passages() == {"b"}
    assert len(vectors.near(bunched(1, dimension=32)[0], 5, [], soon()).nearest) == 1


def test_found_is_what_is_exactly_nearest(open_one: Open) -> None:
    vectors = open_one()
    rows = bunched(3000)
    fill(vectors, {f"p{n}": rows[n : n + 1] for n in range(2900)})
    with vectors.filling(wait=False):
        vectors.add("one", {f"p{n}": rows[n : n + 1] for n in range(2900, 3000)})
        vectors.settle(finished=False)
    other = open_one()
    with other.filling(wait=False):
        other.settle(finished=True)
    other.refresh()
    shares = []
    for question in bunched(20):
        exact = {f"p{n}" for n in np.argsort(-(rows @ question))[:100]}
        shares.append(len(exact & other.near(question, 100, [], soon()).nearest.keys()) / 100)
    assert np.mean(shares) >= 0.98


def test_one_writes_at_a_time(open_one: Open) -> None:
    first, second = open_one(), open_one()
    with first.filling(wait=False) as mine:
        assert mine
        with second.filling(wait=False) as also:
            assert not also
    with second.filling(wait=False) as mine:
        assert mine


class TestElasticsearch:
    """What only a server that several machines use needs."""

    @pytest.fixture
    def settings(self, elasticsearch_url: str, tmp_path: Path) -> Iterator[Settings]:
        made = elastic_settings(elasticsearch_url, data=tmp_path / "one")
        yield made
        remove_indices(made)

    @pytest.fixture
    def client(self, settings: Settings) -> Iterator[Elasticsearch]:
        with closing(connect(settings)) as client:
            yield client

    @pytest.fixture
    def other(self, settings: Settings, tmp_path: Path) -> Iterator[ElasticVectors]:
        """Another machine's."""
        with closing(ElasticVectors(settings.model_copy(update={"data": tmp_path / "other"}))) as vectors:
            yield vectors

    def test_another_machine_waits_and_takes_over(
        self, open_one: Open, other: ElasticVectors, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        vectors = open_one()
        with vectors.filling(wait=False) as mine:
            assert mine
            with other.filling(wait=False) as also:
                assert not also
            vectors.add("one", {"a": bunched(1)})  # a sign of life
            monkeypatch.setattr(elastic_lease, "LEASE_S", 0.0)
            with other.filling(wait=False) as also:
                assert also
                with pytest.raises(IndexLocked):
                    vectors.add("one", {"b": bunched(1)})
                other.add("one", {"a": bunched(1), "c": bunched(1)})
        assert other.passages() == {"a", "c"}

    def test_who_was_killed_goes_on_at_once(self, open_one: Open, other: ElasticVectors) -> None:
        killed = open_one()
        assert isinstance(killed, ElasticVectors)
        assert killed._take(wait=False)  # never released
        with other.filling(wait=False) as mine:
            assert not mine
        with open_one().filling(wait=False) as mine:
            assert mine

    def test_what_was_dropped_is_not_brought_back(
        self, open_one: Open, other: ElasticVectors, client: Elasticsearch, settings: Settings
    ) -> None:
        vectors = open_one()
        with vectors.filling(wait=False):
            vectors.add("one", {"a": bunched(1)})
            other.drop()
            with pytest.raises(IndexLocked):
                vectors.add("one", {"b": bunched(1)})
        assert not client.indices.exists(index=alias_of(settings.es_index))

    def test_half_a_passage_is_none(self, open_one: Open, client: Elasticsearch, settings: Settings) -> None:
        vectors = open_one()
        fill(vectors, {"a": bunched(3), "b": bunched(3)})
        client.delete(index=alias_of(settings.es_index), id="a-1")
        assert vectors.passages() == {"b"}
        fill(vectors, {"a": bunched(3)})
        assert vectors.passages() == {"a", "b"}

    def test_what_the_server_refuses_is_told_of(self, open_one: Open) -> None:
        with pytest.raises(DependencyDown, match="unit-length"):
            fill(open_one(), {"a": unit(np.zeros((1, 8)))})
