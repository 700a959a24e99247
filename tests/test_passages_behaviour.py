"""What every engine does with references, filters and repeals: one suite, whichever engine stands behind."""

from collections.abc import Callable, Iterator
from contextlib import closing
from datetime import date

import pytest

from service_kit.passages import Filters, Passage, PassageReader, open_reader, open_writer
from service_kit.settings import Settings

SPECIAL = [
    Passage(
        "地方政府专项债务预算管理办法",
        text,
        doc_no="财预〔2016〕155号",
        issuer="财政部",
        effective="2016-11-09",
        path=path,
    )
    for path, text in (
        ("第五条", "专项债务收入应当用于公益性资本支出。"),
        ("第六条", "执行中新增的，应当编制预算调整方案。"),
    )
]
BUDGET = [
    Passage("中华人民共和国预算法", f"第{numeral}条　{text}", issuer="全国人民代表大会", effective="2015-01-01")
    for numeral, text in (
        ("三十二", "各级预算应当按照程序编制。"),
        ("三十三", "省级政府应当报告。"),
        ("五", "预算包括四本。"),
    )
]
OLD, NEW = (
    Passage(
        "发行管理暂行办法",
        "债券发行应当公开、公平、公正。",
        issued="2015-03-12",
        repealed="2021-01-01",
        issuer="财政部",
    ),
    Passage(
        "发行管理办法", "债券发行应当公开、公平、公正，遵循市场化原则。", issued="2020-12-09", issuer="财政部、证监会"
    ),
)
FILLER = [Passage(f"第{n}号文", f"预算管理与债务管理第{n}段，各级政府应当加强管理。", path="第五条") for n in range(40)]
TODAY = date(2026, 1, 1)


@pytest.fixture(scope="module")
def settings(make_settings: Callable[[], Settings]) -> Settings:
    """Of an index that holds all passages above."""
    settings = make_settings()
    with closing(open_writer(settings)) as writer:
        writer.upsert([*SPECIAL, *BUDGET, OLD, NEW, *FILLER])
        writer.commit()
    return settings


@pytest.fixture
def reader(settings: Settings) -> Iterator[PassageReader]:
    with closing(open_reader(settings)) as reader:
        yield reader


@pytest.mark.parametrize(
    "number", ["财预〔2016〕155号", "财预[2016]155号", "财预2016 155号", "财预（２０１６）１５５号"]
)
def test_a_document_is_found_by_its_number_alone(reader: PassageReader, number: str) -> None:
    hits = reader.search(f"{number}是关于什么的管理规定？", 3).hits
    assert {hit.passage for hit in hits[:2]} == set(SPECIAL)
    assert hits[0].exact
    assert hits[0].normalised_score > 0.2
    assert not hits[2].exact


def test_its_named_article_comes_first(reader: PassageReader) -> None:
    assert reader.search("财预〔2016〕155号第6条讲的是什么支出", 1).hits[0].passage == SPECIAL[1]
    assert reader.search("财预〔2016〕155号第五条讲的是什么调整方案", 1).hits[0].passage == SPECIAL[0]


@pytest.mark.parametrize("article", ["第三十二条", "第32条", "第 32 条第一款"])
def test_the_article_of_a_law(reader: PassageReader, article: str) -> None:
    hits = reader.search(f"预算法{article}对债务管理各级政府应当加强管理怎么说", 2).hits
    assert hits[0].passage == BUDGET[0]
    assert hits[0].exact


def test_what_is_not_there_empties_nothing(reader: PassageReader) -> None:
    for question in ("财预〔1999〕1号怎么规定债务管理", "担保法第九百条债务管理", "1950年债务管理"):
        hits = reader.search(question, 3).hits
        assert len(hits) == 3
        assert not any(hit.exact for hit in hits)


def test_in_force_before_repealed(reader: PassageReader) -> None:
    first, second = reader.search("债券发行应当公开、公平、公正", 2).hits
    assert (first.passage, first.status) == (NEW, "in_force")
    assert (second.passage, second.status) == (OLD, "repealed")
    assert second.score > first.score  # it is the shorter one


def test_filters(reader: PassageReader) -> None:
    def found(filters: Filters) -> set[Passage]:
        hits = reader.search("债券发行应当公开、公平、公正", 100, filters).hits
        return {hit.passage for hit in hits} & {OLD, NEW}

    assert found(Filters(as_of=date(2015, 3, 11))) == set()
    assert found(Filters(as_of=date(2018, 1, 1))) == {OLD}
    assert found(Filters(as_of=date(2020, 12, 31))) == {OLD, NEW}
    assert found(Filters(as_of=date(2021, 1, 1))) == found(Filters(status="in_force")) == {NEW}
    assert found(Filters(status="repealed")) == {OLD}
    assert found(Filters(issuer="证监会")) == {NEW}
    assert found(Filters(issuer="财政部", status="repealed")) == {OLD}
    assert found(Filters(issuer="财政")) == set()


def test_filters_agree_with_the_pure_rule(reader: PassageReader) -> None:
    every = [*SPECIAL, *BUDGET, OLD, NEW, *FILLER]
    for filters in (
        Filters(),
        Filters(as_of=date(2016, 1, 1)),
        Filters(issuer="中华人民共和国财政部"),
        Filters(status="repealed"),
        Filters(as_of=date(2019, 1, 1), status="repealed"),
    ):
        hits = reader.search("应当 预算 财预〔2016〕155号第五条", 100, filters).hits
        assert {hit.passage for hit in hits} == {one for one in every if filters.allow(one, TODAY)}


def test_highlights_are_in_the_text(reader: PassageReader) -> None:
    (hit,) = reader.search("专项债务收入用于什么？", 1).hits
    shown = [hit.passage.text[start:end] for start, end in hit.highlights]
    assert shown[0] == "专项债务收入"
    assert "应当" not in shown


def test_selftest(reader: PassageReader, make_settings: Callable[[], Settings]) -> None:
    probes = reader.selftest()
    assert [one["name"] for one in probes if not one["ok"]] == []
    assert "47" in next(one["message"] for one in probes if one["name"] == "index")
    with closing(open_reader(make_settings())) as empty:
        last = empty.selftest()[-1]
        assert not last["ok"]
        assert "python -m es_index" in last["message"]


def test_scores_of_given_passages_are_those_of_a_search(reader: PassageReader) -> None:
    question = "专项债务收入应当用于什么支出"
    found = {hit.id: hit for hit in reader.search(question, 60).hits}
    assert len(found) > 5
    unlike = BUDGET[2].id
    scored = {hit.id: hit for hit in reader.score(question, [*found, unlike, "unknown"])}
    assert scored.keys() - {unlike} == found.keys()
    for one, hit in found.items():
        assert scored[one].score == pytest.approx(hit.score, abs=1e-3)
        assert scored[one].normalised_score == pytest.approx(hit.normalised_score, abs=1e-3)
        assert scored[one].passage == hit.passage
    assert reader.score(question, []) == ()
    in_force = reader.score("债券发行", [OLD.id, NEW.id], Filters(status="in_force"))
    assert [hit.id for hit in in_force] == [NEW.id]


def test_passages_by_id(reader: PassageReader) -> None:
    every = {one.id for one in (*SPECIAL, *BUDGET, OLD, NEW, *FILLER)}
    assert reader.ids() == every
    assert {one.id for one in reader.fetch([OLD.id, "unknown"])} == {OLD.id}
    assert reader.fetch([]) == []


def test_version_changes_with_each_commit(reader: PassageReader, settings: Settings) -> None:
    before = reader.version()
    assert reader.version() == before
    with closing(open_writer(settings)) as writer:
        writer.upsert([OLD])
        writer.commit()
    assert reader.version() != before
