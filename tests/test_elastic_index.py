"""What is Elasticsearch's own: indices behind an alias, bulks, clear words about an index that is not usable."""

import json
import os
import signal
from collections.abc import Iterator, Sequence
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from elasticsearch import Elasticsearch
from flask import Flask, Response, jsonify

from es_index.run import index_directory
from service_kit.errors import IndexingError, IndexUnavailable
from service_kit.passages import Passage, elastic_mapping, open_reader, open_writer
from service_kit.passages.elastic_bulk import Await, Bulk
from service_kit.passages.elastic_connection import connect
from service_kit.passages.elastic_encoding import Operation
from service_kit.passages.elastic_indices import Indices
from service_kit.passages.elastic_reader import ElasticReader
from service_kit.passages.elastic_writer import ElasticWriter
from service_kit.settings import Settings
from tests.elasticsearch_fixtures import elastic_settings, remove_indices
from tests.servers import served

DEBT = Passage("专项债务", "专项债务应当通过项目对应的政府性基金收入偿还。", doc_no="财预〔2016〕155号")
GENERAL = Passage("一般债务", "一般债务主要以一般公共预算收入偿还。")


@pytest.fixture
def settings(elasticsearch_url: str, tmp_path: Path) -> Iterator[Settings]:
    settings = elastic_settings(elasticsearch_url, data=tmp_path / "data")
    yield settings
    remove_indices(settings)


@pytest.fixture
def client(settings: Settings) -> Iterator[Elasticsearch]:
    with closing(connect(settings)) as client:
        yield client


@pytest.fixture
def indices(settings: Settings, client: Elasticsearch) -> Indices:
    return Indices(client, settings.es_index, settings.es_analysis)


def write(settings: Settings, *passages: Passage) -> str:
    with closing(open_writer(settings)) as writer:
        writer.upsert(passages)
        writer.commit()
        return writer.index_id


def count(settings: Settings) -> int:
    with closing(open_reader(settings)) as reader:
        return reader.count()


def last_probe(settings: Settings) -> str:
    """What the self-test ends with, which must be a failure."""
    with closing(open_reader(settings)) as reader:
        last = reader.selftest()[-1]
    assert not last["ok"]
    return last["message"]


def test_no_index_and_an_empty_one(settings: Settings) -> None:
    assert "python -m es_index" in last_probe(settings)
    write(settings)
    assert "empty" in last_probe(settings)


def test_an_index_of_the_other_analysis_is_refused(settings: Settings) -> None:
    write(settings, DEBT)
    other = settings.model_copy(update={"es_analysis": "client"})
    assert "YIJU_ES_ANALYSIS=client" in last_probe(other)
    with closing(open_reader(other)) as reader, pytest.raises(IndexUnavailable, match="analysis ik"):
        reader.search("专项债务", 2)


def test_an_index_of_another_version_is_kept_and_a_new_one_begun(
    settings: Settings, indices: Indices, monkeypatch: pytest.MonkeyPatch
) -> None:
    first_id = write(settings, DEBT)
    monkeypatch.setattr("service_kit.passages.elastic_mapping.VERSION", "9.9")
    monkeypatch.setattr("service_kit.passages.elastic_indices.VERSION", "9.9")
    assert "9.9" in last_probe(settings)
    assert write(settings, GENERAL) != first_id
    old, new = indices.all()
    assert (old.serving, new.serving) == (False, True)
    assert old.meta["index_id"] == first_id
    assert indices.previous() == old


def test_a_plain_index_of_that_name_is_not_touched(settings: Settings, client: Elasticsearch) -> None:
    client.indices.create(index=settings.es_index)
    try:
        assert "YIJU_ES_INDEX" in last_probe(settings)
    finally:
        client.indices.delete(index=settings.es_index)


def test_swap_and_back(settings: Settings, indices: Indices) -> None:
    write(settings, DEBT)
    old = indices.serving()
    assert old is not None
    assert not old.eased
    new = indices.create("another")
    assert count(settings) == 1
    indices.swap(new)
    assert count(settings) == 0
    assert indices.previous() == next(one for one in indices.all() if one.name == old.name)
    indices.swap(old.name)
    assert count(settings) == 1
    indices.delete(new)
    assert [one.name for one in indices.all()] == [old.name]


def test_settings_of_a_killed_fill_are_put_right(settings: Settings, indices: Indices) -> None:
    indices.swap(indices.create("begun"))
    serving = indices.serving()
    assert serving is not None
    assert serving.eased
    assert write(settings, DEBT) == "begun"
    serving = indices.serving()
    assert serving is not None
    assert not serving.eased


def test_a_refused_document_does_not_stop_the_rest(settings: Settings, client: Elasticsearch) -> None:
    name = f"{settings.es_index}-refusing"
    client.indices.create(index=name, mappings={"properties": {"number": {"type": "integer"}}})

    def operations(values: Sequence[object]) -> Await:
        head = '{"index": {"_id": "%s"}}\n{"number": %s}'
        made = [Operation(str(value), (head % (value, json.dumps(value))).encode()) for value in values]
        return lambda: made

    try:
        with closing(Bulk(client, name, operations)) as bulk:
            for value in (1, "nine", 3):
                bulk.add(str(value), value, 1)
            refused = bulk.finish()
        client.indices.refresh(index=name)
        assert list(refused) == ["nine"]
        assert "number" in refused["nine"]
        assert client.count(index=name)["count"] == 2
    finally:
        client.indices.delete(index=name)


def test_refused_files_are_reported_and_stored_later(
    settings: Settings, client: Elasticsearch, indices: Indices, tmp_path: Path
) -> None:
    folder = tmp_path / "texts"
    folder.mkdir()
    (folder / "a.txt").write_text("专项债务\n专项债务应当偿还。", encoding="utf-8")
    index_directory(settings, str(folder))
    (folder / "b.txt").write_text("一般债务\n一般债务应当偿还。", encoding="utf-8")
    serving = indices.serving()
    assert serving is not None
    client.indices.put_settings(index=serving.name, settings={"index.blocks.write": True})
    report = index_directory(settings, str(folder))
    assert report.failed[0].file == "b.txt"
    assert "block" in report.failed[0].reason.en
    assert report.new == []
    client.indices.put_settings(index=serving.name, settings={"index.blocks.write": None})
    assert index_directory(settings, str(folder)).new == ["b.txt"]
    assert count(settings) == 2


def test_words_are_cut_in_worker_processes(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service_kit.passages.elastic_writer.WORKERS_FROM", 1)
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    settings = settings.model_copy(update={"es_analysis": "client"})
    with closing(ElasticWriter(settings)) as writer:
        writer.upsert([DEBT])
        ready = writer._workers._ready
        assert ready is not None
        assert ready.result(60) != os.getpid()
        # Cut in this process, they would need this.
        monkeypatch.setattr("service_kit.passages.elastic_mapping.analysis", None)
        writer.upsert([GENERAL])
        writer.commit()
        monkeypatch.undo()
    with closing(open_reader(settings)) as reader:
        assert reader.search("财预2016 155号", 1).hits[0].passage == DEBT


def test_a_worker_that_is_killed(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service_kit.passages.elastic_writer.WORKERS_FROM", 1)
    monkeypatch.setattr("os.cpu_count", lambda: 3)
    settings = settings.model_copy(update={"es_analysis": "client"})
    with closing(ElasticWriter(settings)) as writer:
        writer.upsert([DEBT])
        ready = writer._workers._ready
        assert ready is not None
        os.kill(ready.result(60), signal.SIGKILL)
        writer.upsert([GENERAL])
        writer.commit()
    assert count(settings) == 2


def test_a_server_without_ik(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    # As the server sees it: a tokenizer that it does not know.
    monkeypatch.setattr("service_kit.passages.elastic_selftest.TOKENIZER", "ik_of_nobody")
    monkeypatch.setattr("service_kit.passages.elastic_indices.TOKENIZER", "ik_of_nobody")
    monkeypatch.setitem(elastic_mapping._WORDS, "tokenizer", "ik_of_nobody")
    monkeypatch.setitem(elastic_mapping._ANALYSIS["ik"]["analyzer"]["question_words"], "tokenizer", "ik_of_nobody")
    assert "analysis-ik" in last_probe(settings)
    with pytest.raises(IndexingError, match="analysis-ik"):
        open_writer(settings)


def test_an_analyzer_that_knows_no_chinese(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("service_kit.passages.elastic_selftest.TOKENIZER", "standard")
    assert "dictionary" in last_probe(settings)


def test_a_server_of_another_version(settings: Settings) -> None:
    app = Flask(__name__)

    @app.get("/")
    def info() -> Response:
        answer = jsonify(version={"number": "7.16.2"})
        answer.headers["X-Elastic-Product"] = "Elasticsearch"
        return answer

    with served(app) as url:
        assert "7.16.2" in last_probe(settings.model_copy(update={"es_urls": url}))


def test_one_in_force_is_found_behind_many_repealed_ones(settings: Settings) -> None:
    """It matches a little less than all that would be fetched at first."""
    text = "债券发行应当公开公平公正"
    old = [Passage(f"旧办法{n}", text, repealed="2020-01-01") for n in range(5)]
    new = Passage("办法", f"{text}，并且应当及时披露")
    write(settings, *old, new)
    with closing(open_reader(settings)) as reader:
        hits = reader.search(text, 1).hits
        assert [hit.passage for hit in hits] == [new]
        assert reader.search(text, 6).hits[1].score > hits[0].score


def test_a_score_belongs_to_the_search_before_it(settings: Settings, monkeypatch: pytest.MonkeyPatch) -> None:
    """A hybrid search scores what only meaning found; the rarity of its words is known by then."""
    write(settings, DEBT, GENERAL)
    ids = [DEBT.id, GENERAL.id]
    with closing(open_reader(settings)) as fresh, closing(open_reader(settings)) as reader:
        assert isinstance(reader, ElasticReader)
        wanted = fresh.score("专项债务收入", ids), fresh.score("一般公共预算", ids)
        asked: list[object] = []
        term_vectors = reader._client.termvectors

        def counted(**body: Any) -> Any:
            asked.append(body)
            return term_vectors(**body)

        monkeypatch.setattr(reader._client, "termvectors", counted)
        reader.search("专项债务收入", 1)
        assert len(asked) == 1
        assert reader.score("专项债务收入", ids) == wanted[0]
        assert len(asked) == 1
        assert reader.score("一般公共预算", ids) == wanted[1]
        assert len(asked) == 2
