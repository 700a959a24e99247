"""What every engine does behind the index interface: one suite, whichever engine stands behind."""

import threading
from collections.abc import Callable, Iterable, Iterator
from contextlib import closing

import pytest

from service_kit.errors import IndexUnavailable
from service_kit.passages import Passage, PassageReader, open_reader, open_writer
from service_kit.settings import Settings

DEBT = Passage("专项债务", "专项债务应当通过项目对应的政府性基金收入偿还。", issuer="财政部")
GENERAL = Passage("一般债务", "一般债务主要以一般公共预算收入偿还。")
BUDGET = Passage("预算法", "各级政府预算经本级人民代表大会批准。")


@pytest.fixture
def settings(make_settings: Callable[[], Settings]) -> Settings:
    return make_settings()


@pytest.fixture
def reader(settings: Settings) -> Iterator[PassageReader]:
    """Sees each commit of `write`."""
    with closing(open_reader(settings)) as reader:
        yield reader


def write(settings: Settings, passages: Iterable[Passage], deleted: Iterable[str] = ()) -> None:
    with closing(open_writer(settings)) as writer:
        writer.upsert(passages)
        writer.delete(deleted)
        writer.commit()


def test_finds_the_passage_and_gives_it_back_whole(settings: Settings, reader: PassageReader) -> None:
    write(settings, [DEBT, GENERAL, BUDGET])
    result = reader.search("专项债务应当通过什么偿还？", 2)
    assert [hit.passage for hit in result.hits] == [DEBT, GENERAL]
    assert result.hits[0].id == DEBT.id
    assert 1 >= result.hits[0].normalised_score > result.hits[1].normalised_score > 0


def test_unknown_terms_lower_the_normalised_score(settings: Settings, reader: PassageReader) -> None:
    write(settings, [DEBT, GENERAL, BUDGET])
    known, mixed = (reader.search(question, 1) for question in ("专项债务", "专项债务与量子纠缠"))
    assert mixed.hits[0].normalised_score < known.hits[0].normalised_score
    assert mixed.idf["量子"] > mixed.idf["专项"]


def test_questions_that_match_nothing(settings: Settings, reader: PassageReader) -> None:
    write(settings, [DEBT])
    for question in ("？？？", "🙂", "zzzz", "\0", "AND OR NOT (", "title:x"):
        assert reader.search(question, 2).hits == ()


def test_upsert_replaces_within_and_across_commits(settings: Settings, reader: PassageReader) -> None:
    write(settings, [DEBT, DEBT])
    write(settings, [DEBT])
    assert reader.count() == 1
    assert len(reader.search("专项债务", 5).hits) == 1


def test_what_is_not_committed_is_dropped(settings: Settings, reader: PassageReader) -> None:
    write(settings, [DEBT])
    with closing(open_writer(settings)) as writer:
        writer.upsert([GENERAL])
        writer.clear()
    assert reader.count() == 1


def test_reader_sees_each_commit(settings: Settings, reader: PassageReader) -> None:
    with pytest.raises(IndexUnavailable, match="es_index"):
        reader.search("专项债务", 2)
    write(settings, [])
    with pytest.raises(IndexUnavailable, match="empty"):
        reader.check()
    write(settings, [DEBT])
    facts = reader.check()
    assert (facts["engine"], facts["passages"]) == (settings.search, 1)
    write(settings, [GENERAL], deleted=[DEBT.id])
    assert [hit.passage for hit in reader.search("债务", 5).hits] == [GENERAL]


def test_ties_are_ordered_by_id_whatever_came_first(make_settings: Callable[[], Settings]) -> None:
    passages = [Passage("同题", "同文", page=str(n)) for n in range(60)]
    expected = sorted(passage.id for passage in passages)
    for order in (passages, passages[::-1]):
        other = make_settings()
        for start in range(0, 60, 20):
            write(other, order[start : start + 20])
        with closing(open_reader(other)) as reader:
            hits = reader.search("同题", 5).hits
        assert [hit.id for hit in hits] == expected[:5]


def test_searching_while_another_thread_commits(settings: Settings, reader: PassageReader) -> None:
    write(settings, [DEBT])
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


def test_long_question_finds_its_passage(settings: Settings, reader: PassageReader) -> None:
    write(settings, [DEBT, GENERAL, BUDGET])
    question = DEBT.content + "".join(chr(code) for code in range(0x4E00, 0x4E00 + 20_000))
    assert reader.search(question, 1).hits[0].passage == DEBT


def test_a_question_of_question_words_only(settings: Settings, reader: PassageReader) -> None:
    asked = Passage("什么是什么", "为什么请问多少个年月，如何如何。")
    write(settings, [DEBT, GENERAL, asked])
    hits = reader.search("请问为什么是什么？", 1).hits
    assert [hit.passage for hit in hits] == [asked]


def test_later_operations_of_a_commit_win(settings: Settings, reader: PassageReader) -> None:
    with closing(open_writer(settings)) as writer:
        writer.upsert([DEBT, GENERAL])
        writer.delete([DEBT.id])
        writer.delete([BUDGET.id])
        writer.upsert([BUDGET])
        writer.commit()
    assert {hit.passage for hit in reader.search("预算 债务", 5).hits} == {GENERAL, BUDGET}


def test_clearing_goes_with_what_is_stored_after_it(settings: Settings, reader: PassageReader) -> None:
    write(settings, [DEBT, BUDGET])
    with closing(open_writer(settings)) as writer:
        index_id = writer.index_id
        writer.clear()
        writer.upsert([GENERAL])
        writer.commit()
        assert writer.index_id == index_id
    assert reader.count() == 1
    with closing(open_writer(settings)) as writer:
        assert writer.index_id == index_id
