"""The embedded engine behind the index interface."""

import json
from collections.abc import Iterable
from contextlib import closing
from pathlib import Path

import pytest

from service_kit.errors import IndexLocked, IndexUnavailable
from service_kit.passages import Passage, open_reader, open_writer
from service_kit.passages.weights import MAX_REPEATS, MAX_TERMS, inverse_document_frequency, weigh
from service_kit.settings import Settings, load_settings

DEBT = Passage("专项债务", "专项债务应当通过项目对应的政府性基金收入偿还。", issuer="财政部")
GENERAL = Passage("一般债务", "一般债务主要以一般公共预算收入偿还。")
BUDGET = Passage("预算法", "各级政府预算经本级人民代表大会批准。")


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(data=tmp_path)


def write(settings: Settings, passages: Iterable[Passage], deleted: Iterable[str] = ()) -> None:
    with closing(open_writer(settings)) as writer:
        writer.upsert(passages)
        writer.delete(deleted)
        writer.commit()


def test_scores_are_bm25s(settings: Settings) -> None:
    # One term, in one of three documents of equal length: tf = 1, so the length factor is 1 and the score is the idf.
    write(settings, [Passage("a", "x"), Passage("b", "x"), Passage("c", "x")])
    result = open_reader(settings).search("a", 3)
    idf = inverse_document_frequency(3, 1)
    assert result.idf == {"a": pytest.approx(idf)}
    (hit,) = result.hits
    # The term comes out of both streams: tf = 2 in the passage and twice in the question.
    assert hit.score == pytest.approx(2 * 2.2 * idf * 2 / (2 + 1.2), rel=1e-4)
    assert hit.normalised_score == pytest.approx(2 / 3.2, rel=1e-4)


def test_idf_counts_like_the_engine_while_deleted_documents_linger(settings: Settings) -> None:
    write(settings, [Passage("a", f"x{n}") for n in range(10)])
    write(settings, [], [Passage("a", f"x{n}").id for n in range(9)])
    reader = open_reader(settings)
    assert reader.count() == 1
    (hit,) = reader.search("a", 3).hits
    assert hit.normalised_score == pytest.approx(2 / 3.2, rel=1e-3)


def test_index_of_another_version_is_refused_and_built_anew(settings: Settings) -> None:
    write(settings, [DEBT])
    with closing(open_writer(settings)) as writer:
        first_id = writer.index_id
    marker = settings.data / "index" / "yiju.json"
    marker.write_text(json.dumps({**json.loads(marker.read_text()), "version": "0.0"}))
    with pytest.raises(IndexUnavailable, match="version"):
        open_reader(settings).count()
    with closing(open_writer(settings)) as writer:
        assert writer.index_id != first_id
    assert open_reader(settings).count() == 0


@pytest.mark.parametrize("name", ["meta.json", "yiju.json", "*.term", "*.store"])
def test_damaged_files_make_the_index_unavailable(settings: Settings, name: str) -> None:
    write(settings, [DEBT])
    (file,) = (settings.data / "index").glob(name)
    file.write_bytes(b"garbage")
    with pytest.raises(IndexUnavailable, match="es_index"):
        open_reader(settings).search("专项债务", 2)


def test_a_second_writer_is_locked_out(settings: Settings) -> None:
    with closing(open_writer(settings)), pytest.raises(IndexLocked):
        open_writer(settings)


def test_weigh_keeps_the_rarest_terms() -> None:
    terms = [f"known{n}" for n in range(300)] + [f"unknown{n}" for n in range(300)] + ["often"] * 50
    frequency = {f"known{n}": n + 1 for n in range(300)} | {"often": 1}
    weighed = weigh(terms, 1000, lambda term: frequency.get(term, 0))
    known = [term for term in weighed if term.frequency]
    assert len(known) == MAX_TERMS == len(weighed) - len(known)
    assert max(term.frequency for term in known) == MAX_TERMS - 1
    assert next(term.repeats for term in known if term.term == "often") == MAX_REPEATS


def test_passages_are_stored_in_small_blocks(settings: Settings) -> None:
    """tantivy keeps the setting over commits; searches by words and meaning read many passages."""
    with closing(open_writer(settings)) as writer:
        writer.upsert([Passage("甲", "债务。")])
        writer.commit()
    (meta,) = settings.data.rglob("meta.json")
    assert json.loads(meta.read_text())["index_settings"]["docstore_blocksize"] == 4096
