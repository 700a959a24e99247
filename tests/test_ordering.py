"""The order of candidates, and who is in force. The same for every engine."""

from datetime import date

import pytest

from service_kit.passages import Filters, Passage
from service_kit.passages.highlights import highlights
from service_kit.passages.ordering import Candidate, named_share, ordered, settled
from service_kit.passages.references import named_in
from service_kit.passages.validity import Validity, read_day, validity

TODAY = date(2026, 1, 1)
FIFTH = Passage("专项债务预算管理办法", "应当用于公益性支出。", doc_no="财预〔2016〕155号", path="第五条")
SIXTH = Passage("专项债务预算管理办法", "不得用于经常性支出。", doc_no="财预〔2016〕155号", path="第六条")
OTHER = Passage("一般债务预算管理办法", "一般债务。", doc_no="财预〔2016〕154号", path="第五条")
BUDGET = Passage("中华人民共和国预算法", "第五条 预算包括一般公共预算。")
RULES = Passage("中华人民共和国预算法实施条例", "第五条 条例。")


def order(question: str, *scored: tuple[Passage, float], top_k: int = 10) -> list[Passage]:
    candidates = [Candidate(passage, passage.id, score) for passage, score in scored]
    return [one.candidate.passage for one in ordered(candidates, named_in(question), TODAY, top_k)]


def test_without_references_by_score_then_id() -> None:
    first, second = sorted((SIXTH, OTHER), key=lambda passage: passage.id)
    assert order("债务", (BUDGET, 3.0), (second, 2.0), (first, 2.0), (FIFTH, 9.0)) == [FIFTH, BUDGET, first, second]
    assert order("债务", (BUDGET, 3.0), (BUDGET, 3.0)) == [BUDGET]


def test_what_lies_beyond_the_fetched_ones_can_not_come_in() -> None:
    repealed = Passage("旧办法", "债务。", repealed="2020-01-01")

    def enough(*scored: tuple[Passage, float], top_k: int) -> bool:
        return settled([Candidate(passage, passage.id, score) for passage, score in scored], TODAY, top_k)

    assert enough((FIFTH, 9.0), (SIXTH, 8.0), (OTHER, 7.9), top_k=2)
    assert enough((FIFTH, 9.0), (repealed, 8.0), top_k=2), "there are no more"
    assert not enough((FIFTH, 9.0), (SIXTH, 8.0), (OTHER, 8.0), top_k=2), "of equal ones the id decides"
    assert not enough((repealed, 9.0), (SIXTH, 8.0), (OTHER, 7.5), top_k=2), "9 * 0.8 < 7.5"
    assert enough((repealed, 9.0), (SIXTH, 8.0), (OTHER, 7.1), top_k=2)
    assert enough((repealed, 9.0), top_k=1)


def test_a_named_document_comes_first_and_its_named_article_before_the_rest() -> None:
    scored = ((BUDGET, 9.0), (OTHER, 8.0), (SIXTH, 2.0), (FIFTH, 0.0))
    assert order("财预2016 155号第5条", *scored) == [FIFTH, SIXTH, BUDGET, OTHER]
    assert order("财预[2016]155号", *scored) == [SIXTH, FIFTH, BUDGET, OTHER]
    assert order("财预[2016]999号", *scored) == [BUDGET, OTHER, SIXTH, FIFTH]


def test_each_of_two_named_documents_has_a_place() -> None:
    scored = ((SIXTH, 9.0), (FIFTH, 8.0), (BUDGET, 7.0), (OTHER, 1.0))
    assert order("财预〔2016〕155号与财预〔2016〕154号有何不同", *scored, top_k=2) == [SIXTH, OTHER]


def test_the_longest_reading_of_a_number_wins() -> None:
    long, short = Passage("a", "x", doc_no="国办函〔2016〕88号"), Passage("b", "x", doc_no="办函〔2016〕88号")
    assert order("国办函〔2016〕88号", (BUDGET, 5.0), (short, 3.0), (long, 1.0))[0] == long
    assert order("国办函〔2016〕88号", (BUDGET, 5.0), (short, 3.0))[0] == short


def test_the_article_of_the_named_law() -> None:
    scored = ((RULES, 9.0), (OTHER, 8.0), (BUDGET, 1.0))
    assert order("根据预算法第五条", *scored)[0] == BUDGET
    assert order("《中华人民共和国预算法实施条例》第五条", *scored)[0] == RULES
    # A law that is not there: nobody's fifth article is its fifth article.
    assert order("担保法第五条", (SIXTH, 3.0), (OTHER, 2.0)) == [SIXTH, OTHER]
    # No law named: an article of that number, unless another passage fits far better.
    assert order("第五条怎么规定债务", (SIXTH, 3.0), (OTHER, 2.0)) == [OTHER, SIXTH]
    assert order("第五条怎么规定债务", (SIXTH, 5.0), (OTHER, 2.0)) == [SIXTH, OTHER]


def test_near_equal_in_force_before_repealed() -> None:
    old = Passage("旧办法", "甲", repealed="2020-01-01")
    new = Passage("新办法", "甲", effective="2020-01-01")
    assert order("办法", (old, 10.0), (new, 9.0)) == [new, old]
    assert order("办法", (old, 10.0), (new, 5.0)) == [old, new]
    (first, *_) = ordered([Candidate(old, old.id, 1.0)], named_in("办法"), TODAY, 1)
    assert first.status == "repealed"


def test_a_named_year_decides_between_near_equals() -> None:
    seventeen, eighteen = (Passage("债券工作的意见", "意见", issued=f"{year}-05-01") for year in (2017, 2018))
    assert order("2018年债券工作的意见", (seventeen, 10.0), (eighteen, 9.0))[0] == eighteen


@pytest.mark.parametrize(
    ("text", "day"),
    [
        ("2016-11-09", date(2016, 11, 9)),
        ("２０１６年１１月９日", date(2016, 11, 9)),
        ("二〇一六年十一月九日起施行", date(2016, 11, 9)),
        ("2016年11月", date(2016, 11, 1)),
        ("2016", date(2016, 1, 1)),
        ("2016-13", date(2016, 1, 1)),
        ("现行有效", None),
        (None, None),
    ],
)
def test_days_in_free_text(text: str | None, day: date | None) -> None:
    assert read_day(text) == day


@pytest.mark.parametrize(
    ("fields", "status"),
    [
        ({}, "unknown"),
        ({"issued": "2016-01-01"}, "in_force"),
        ({"issued": "2016-01-01", "effective": "2030-01-01"}, "not_yet"),
        ({"repealed": "2020-01-01"}, "repealed"),
        ({"repealed": "2030-01-01"}, "in_force"),
        ({"repealed": "已废止"}, "repealed"),
        ({"repealed": "否"}, "unknown"),
        ({"status": "已废止"}, "repealed"),
        ({"status": "未废止"}, "unknown"),
        ({"status": "部分废止", "issued": "2016"}, "in_force"),
        ({"status": "现行有效", "issued": "2016"}, "in_force"),
    ],
)
def test_status(fields: dict[str, str], status: str) -> None:
    assert validity(Passage("a", "b", **fields)).status_at(TODAY) == status


def test_filters() -> None:
    old = Passage("旧", "甲", issued="2010-01-01", repealed="2020-01-01", issuer="财政部、国家税务总局")
    undated = Passage("旧", "乙", issued="2010-01-01", status="失效")
    plain = Passage("无", "丙")

    def kept(filters: Filters) -> list[Passage]:
        return [passage for passage in (old, undated, plain) if filters.allow(passage, TODAY)]

    assert kept(Filters()) == [old, undated, plain]
    assert kept(Filters(as_of=date(2009, 12, 31))) == [plain]
    assert kept(Filters(as_of=date(2019, 12, 31))) == [old, undated, plain]
    assert kept(Filters(as_of=date(2020, 1, 1))) == [undated, plain]
    assert kept(Filters(as_of=TODAY)) == kept(Filters(status="in_force")) == [plain]
    assert kept(Filters(status="repealed")) == [old, undated]
    assert kept(Filters(issuer="中华人民共和国财政部")) == [old]
    assert kept(Filters(issuer="税务总局")) == []
    assert Validity().status_at(TODAY) == "unknown"


def test_highlights_show_the_rarer_words_as_they_are_written() -> None:
    text = "ＧＢ１８０３０与专项债务，按专项债务办理…ﬁn专项。"
    spans = highlights(text, {"gb18030": 5.0, "专项": 4.0, "债务": 4.0, "项债": 4.0, "办理": 0.5, "缺": 9.0})
    assert [text[start:end] for start, end in spans] == ["ＧＢ１８０３０", "专项债务", "专项债务", "专项"]
    assert highlights("专项", {}) == highlights("", {"专": 1.0}) == ()
    assert highlights("债", {"债": 1.0}) == ((0, 1),)


def test_what_a_named_number_answers() -> None:
    assert named_share("什么", {"什么": 1.0}) == 0.0
    assert 0.5 < named_share("财预〔2016〕155号", {"财预": 3.0, "2016": 2.0, "155": 2.0, "号": 0.5}) <= 1.0
