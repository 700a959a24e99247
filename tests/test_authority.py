"""Of near-equal passages the higher-ranking and newer document first."""

from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from service_kit.passages import Hit, Passage
from service_kit.passages.authority import Authority, Rank, by_authority, rank_of


@pytest.mark.parametrize(
    ("title", "fields", "rank"),
    [
        ("中华人民共和国宪法（2018年修正）", {}, Rank.CONSTITUTION),
        ("中华人民共和国预算法", {}, Rank.LAW),
        ("民法典", {}, Rank.LAW),
        ("预算法", {"path": "第三章 > 第三十二条"}, Rank.LAW),
        ("预算法", {"doc_no": "中华人民共和国主席令第十二号"}, Rank.LAW),
        ("关于修改个人所得税法的决定", {"issuer": "全国人民代表大会常务委员会"}, Rank.LAW),
        ("梯度下降法", {}, None),
        ("中华人民共和国预算法实施条例", {}, Rank.REGULATION),
        ("国务院关于职工工作时间的规定", {}, Rank.REGULATION),
        ("全国年节及纪念日放假办法", {"issuer": "国务院"}, Rank.REGULATION),
        ("全国年节及纪念日放假办法", {"doc_no": "国务院令第644号"}, Rank.REGULATION),
        ("最高人民法院关于审理劳动争议案件适用法律问题的解释（一）", {}, Rank.REGULATION),
        ("关于办理危害税收征管刑事案件的解释", {"doc_no": "法释〔2024〕4号"}, Rank.REGULATION),
        ("北京市物业管理条例", {}, Rank.RULE),
        ("物业管理条例", {"issuer": "北京市人民代表大会常务委员会"}, Rank.RULE),
        ("经济特区外资银行条例", {}, Rank.REGULATION),
        ("行政单位国有资产管理办法", {"doc_no": "财政部令第81号"}, Rank.RULE),
        ("差旅费管理办法（试行）", {}, Rank.RULE),
        ("地方政府专项债务预算管理办法", {"doc_no": "财预〔2016〕155号"}, Rank.NOTICE),
        ("关于印发《地方政府专项债务预算管理办法》的通知", {}, Rank.NOTICE),
        ("国务院关于加强地方政府性债务管理的意见", {"doc_no": "国发[2014]43号"}, Rank.NOTICE),
        ("战国无双3", {}, None),
    ],
)
def test_ranks(title: str, fields: dict[str, Any], rank: Rank | None) -> None:
    assert rank_of(Passage(title, "正文", **fields)) == rank


def test_a_law_is_known_by_its_articles() -> None:
    assert rank_of(Passage("预算法", "第五条 预算包括一般公共预算。")) == Rank.LAW


LAW = Passage("中华人民共和国预算法", "应当公开。")
RULES = Passage("中华人民共和国预算法实施条例", "应当公开。")
NOTICE = Passage("关于预算公开的通知", "应当公开。", issued="2020-01-01")
NEWER = Passage("关于决算公开的通知", "应当公开。", issued="2024-01-01")
REVISED = Passage("关于预算公开的通知（2022年修订）", "应当公开。", effective="2022-05-01")
PLAIN = Passage("预算公开", "应当公开。")


def order(*scored: tuple[Passage, float], exact: tuple[Passage, ...] = (), near: float = 0.05) -> list[Passage]:
    hits = {passage.id: Hit(passage, passage.id, score, score, exact=passage in exact) for passage, score in scored}
    given = {passage.id: score for passage, score in scored}
    return [hits[one].passage for one in by_authority(list(hits), given, hits, near, len(hits))]


def test_the_higher_rank_of_near_equals_comes_first() -> None:
    assert order((NOTICE, 1.0), (RULES, 0.99), (LAW, 0.96)) == [LAW, RULES, NOTICE]
    assert order((NOTICE, 1.0), (LAW, 0.94)) == [NOTICE, LAW]
    assert order((LAW, 1.0), (NOTICE, 1.0)) == [LAW, NOTICE]
    assert order((NOTICE, 1.0), (LAW, 0.96), near=0.0) == [NOTICE, LAW]


def test_nothing_passes_what_is_better_by_more() -> None:
    # The law is near to the rules, not to the notice, and so stays behind the notice whatever the rules do.
    assert order((NOTICE, 1.0), (RULES, 0.96), (LAW, 0.93)) == [RULES, NOTICE, LAW]


def test_what_does_not_tell_its_rank_is_not_moved() -> None:
    assert order((PLAIN, 1.0), (LAW, 1.0)) == [PLAIN, LAW]
    assert order((NOTICE, 1.0), (PLAIN, 1.0)) == [NOTICE, PLAIN]


def test_the_newer_of_near_equals_comes_first() -> None:
    assert order((NOTICE, 1.0), (NEWER, 0.995)) == [NEWER, NOTICE]
    assert order((NEWER, 1.0), (NOTICE, 1.0)) == [NEWER, NOTICE]
    # Another document has to be nearer for that than another version of the same.
    assert order((NOTICE, 1.0), (NEWER, 0.96)) == [NOTICE, NEWER]
    assert order((NOTICE, 1.0), (REVISED, 0.96)) == [REVISED, NOTICE]


def test_in_force_before_repealed_whatever_the_rank() -> None:
    law = Authority(False, Rank.LAW, "预算法", date(2020, 1, 1))
    notice = Authority(True, Rank.NOTICE, "通知", None)
    assert law.yields(notice, 0.05) == 0.05
    assert notice.yields(law, 0.05) == 0


def test_the_year_of_a_title_tells_versions_apart() -> None:
    old, new = (Passage(f"政府收支分类科目（{year}年）", "科目") for year in (2019, 2024))
    assert order((old, 1.0), (new, 0.96)) == [new, old]


def test_what_the_question_names_stays_first() -> None:
    assert order((NOTICE, 1.0), (LAW, 1.0), exact=(NOTICE,)) == [NOTICE, LAW]
    assert order((NOTICE, 1.0), (LAW, 1.0), exact=(NOTICE, LAW)) == [NOTICE, LAW]
    assert order((NOTICE, 1.0), (REVISED, 1.0), exact=(NOTICE, REVISED)) == [REVISED, NOTICE]


def test_no_score_is_near_to_nothing() -> None:
    assert order((NOTICE, 0.0), (LAW, 0.0)) == [NOTICE, LAW]
    assert order((NOTICE, -1.0), (LAW, -1.0)) == [NOTICE, LAW]


@given(
    places=st.lists(st.tuples(st.sampled_from([LAW, RULES, NOTICE, NEWER, PLAIN]), st.integers(0, 30)), max_size=40),
    exact=st.integers(0, 3),
    top_k=st.integers(1, 5),
)
def test_the_first_are_the_same_however_far_the_order_is_settled(
    places: list[tuple[Passage, int]], exact: int, top_k: int
) -> None:
    places.sort(key=lambda place: -place[1])
    hits = {
        str(n): Hit(passage, str(n), score / 30, score / 30, exact=n < exact)
        for n, (passage, score) in enumerate(places)
    }
    scores = {one: hit.score for one, hit in hits.items()}
    settled = by_authority(list(hits), scores, hits, 0.1, len(hits) or 1)
    some = by_authority(list(hits), scores, hits, 0.1, top_k)
    assert some[:top_k] == settled[:top_k]
    assert sorted(some) == sorted(hits)
