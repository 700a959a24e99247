"""The embedded engine behind the index interface."""

import json
import threading
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


def test_finds_the_passage_and_gives_it_back_whole(settings: Settings) -> None:
    write(settings, [DEBT, GENERAL, BUDGET])
    result = open_reader(settings).search("专项债务应当通过什么偿还？", 2)
    assert [hit.passage for hit in result.hits] == [DEBT, GENERAL]
    assert result.hits[0].id == DEBT.id
    assert 1 >= result.hits[0].normalised_score > result.hits[1].normalised_score > 0


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


def test_unknown_terms_lower_the_normalised_score(settings: Settings) -> None:
    write(settings, [DEBT, GENERAL, BUDGET])
    reader = open_reader(settings)
    known, mixed = (reader.search(question, 1) for question in ("专项债务", "专项债务与量子纠缠"))
    assert mixed.hits[0].normalised_score < known.hits[0].normalised_score
    assert mixed.idf["量子"] > mixed.idf["专项"]


@pytest.mark.parametrize("question", ["？？？", "🙂", "zzzz", "\0", "AND OR NOT (", "title:x"])
def test_questions_that_match_nothing(settings: Settings, question: str) -> None:
    write(settings, [DEBT])
    assert open_reader(settings).search(question, 2).hits == ()


def test_upsert_replaces_within_and_across_commits(settings: Settings) -> None:
    write(settings, [DEBT, DEBT])
    write(settings, [DEBT])
    reader = open_reader(settings)
    assert reader.count() == 1
    assert len(reader.search("专项债务", 5).hits) == 1


def test_what_is_not_committed_is_dropped(settings: Settings) -> None:
    write(settings, [DEBT])
    with closing(open_writer(settings)) as writer:
        writer.upsert([GENERAL])
        writer.clear()
    assert open_reader(settings).count() == 1


def test_reader_sees_each_commit(settings: Settings) -> None:
    reader = open_reader(settings)
    with pytest.raises(IndexUnavailable, match="es_index"):
        reader.search("专项债务", 2)
    write(settings, [])
    with pytest.raises(IndexUnavailable, match="empty"):
        reader.check()
    write(settings, [DEBT])
    assert reader.check() == {"engine": "embedded", "passages": 1}
    write(settings, [GENERAL], deleted=[DEBT.id])
    assert [hit.passage for hit in reader.search("债务", 5).hits] == [GENERAL]


def test_ties_are_ordered_by_id_whatever_came_first(settings: Settings, tmp_path: Path) -> None:
    passages = [Passage("同题", "同文", page=str(n)) for n in range(60)]
    expected = sorted(passage.id for passage in passages)
    for name, order in (("forth", passages), ("back", passages[::-1])):
        other = settings.model_copy(update={"data": tmp_path / name})
        for start in range(0, 60, 20):
            write(other, order[start : start + 20])
        hits = open_reader(other).search("同题", 5).hits
        assert [hit.id for hit in hits] == expected[:5]


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


def test_searching_while_another_thread_commits(settings: Settings) -> None:
    write(settings, [DEBT])
    reader = open_reader(settings)
    done = threading.Event()
    faults: list[BaseException] = []

    def search() -> None:
        try:
            while not done.is_set():
                assert reader.search("专项债务", 1).hits[0].passage == DEBT
        except BaseException as error:  # noqa: BLE001  # shown by the assert below
            faults.append(error)

    threads = [threading.Thread(target=search) for _ in range(3)]
    for thread in threads:
        thread.start()
    for n in range(15):
        write(settings, [Passage(f"题{n}", "文")])
    done.set()
    for thread in threads:
        thread.join()
    assert not faults
    assert reader.count() == 16


def test_weigh_keeps_the_rarest_terms() -> None:
    terms = [f"known{n}" for n in range(300)] + [f"unknown{n}" for n in range(300)] + ["often"] * 50
    frequency = {f"known{n}": n + 1 for n in range(300)} | {"often": 1}
    weighed = weigh(terms, 1000, lambda term: frequency.get(term, 0))
    known = [term for term in weighed if term.frequency]
    assert len(known) == MAX_TERMS == len(weighed) - len(known)
    assert max(term.frequency for term in known) == MAX_TERMS - 1
    assert next(term.repeats for term in known if term.term == "often") == MAX_REPEATS


def test_long_question_finds_its_passage(settings: Settings) -> None:
    write(settings, [DEBT, GENERAL, BUDGET])
    question = DEBT.content + "".join(chr(code) for code in range(0x4E00, 0x4E00 + 20_000))
    assert open_reader(settings).search(question, 1).hits[0].passage == DEBT
