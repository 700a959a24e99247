"""What a question names exactly, and what passages bear."""

import pytest

from service_kit.passages import Passage
from service_kit.passages.references import (
    ArticleMention,
    article_keys,
    doc_no_keys,
    issuer_keys,
    named_in,
    names_title,
    title_key,
    years_of,
)


@pytest.mark.parametrize(
    ("written", "key"),
    [
        ("财预〔2016〕155号", "财预[2016]155"),
        ("财预[2016]155号", "财预[2016]155"),
        ("财预2016 155号", "财预[2016]155"),
        ("财预（2016）１５５号", "财预[2016]155"),
        ("财预【2016】第155号", "财预[2016]155"),
        ("财预﹝2016﹞155號", "财预[2016]155"),
        ("财 预 〔 2016 〕 155 号", "财预[2016]155"),
        ("ＸＸ：财预［２０１６］0155号", "财预[2016]155"),
        ("国办函〔2016〕88号", "国办函[2016]88"),
        ("财政部公告2019年第39号", "财政部公告[2019]39"),
        ("中华人民共和国财政部令第八十一号", "财政部令81"),
        ("国务院令第700号", "国务院令700"),
    ],
)
def test_one_keyword_for_every_way_of_writing(written: str, key: str) -> None:
    assert doc_no_keys(written) == (key,)
    (readings,) = named_in(f"请问根据{written}的要求应当怎么办？").doc_nos
    assert key in readings


def test_a_field_of_several_numbers_or_of_none() -> None:
    assert doc_no_keys("财预〔2016〕154号 财预〔2016〕155号") == ("财预[2016]154", "财预[2016]155")
    assert doc_no_keys("GB/T 7714—2015") == ("gb/t7714—2015",)
    assert doc_no_keys(None) == doc_no_keys(" ") == ()


@pytest.mark.parametrize("text", ["2016年10月1日", "电话0551号", "第155号", "〔2016〕155号", "北京2016年的房价"])
def test_what_is_no_doc_no(text: str) -> None:
    assert named_in(text).doc_nos == ()


@pytest.mark.parametrize(
    ("text", "article", "paragraph", "item"),
    [
        ("第三十二条", "32", None, None),
        ("第32条", "32", None, None),
        ("第３２ 条第二款第（三）项", "32", 2, 3),
        ("第一百二十条之一第3款", "120-1", 3, None),
        ("第二百零四条第一项", "204", None, 1),
    ],
)
def test_articles_in_both_numerals(text: str, article: str, paragraph: int | None, item: int | None) -> None:
    (mention,) = named_in(f"{text}怎么规定？").articles
    assert (mention.article, mention.paragraph, mention.item) == (article, paragraph, item)


def test_the_law_stands_before_its_article() -> None:
    first, second = named_in("根据《中华人民共和国预算法》（2018年修正）第三十二条和第33条").articles
    assert first.before == second.before
    assert names_title(first, "中华人民共和国预算法") > names_title(first, "算法") > 0
    assert names_title(first, "预算法实施条例") == 0
    (short,) = named_in("治安处罚法第五十条").articles
    assert names_title(short, "中华人民共和国治安管理处罚法") > 0
    assert short.names_law
    assert named_in("预算法32条").articles[0].article == "32"
    assert named_in("专项债券发行32条").articles == ()
    assert named_in("财预〔2016〕155号文第五条").articles[0].names_law
    assert not named_in("该办法第五条").articles[0].names_law
    assert not named_in("第五条").articles[0].names_law
    assert names_title(ArticleMention("1"), "预算法") == 0


def test_years_without_those_of_numbers() -> None:
    assert named_in("财预〔2016〕155号在2018年、二〇一九年还有效吗？电话20201234").years == (2018, 2019)
    passage = Passage(
        "2015年预算报告", "2014年", doc_no="财预〔2016〕1号", issued="2017-01-01", effective="2018年1月1日"
    )
    assert years_of(passage) == {2015, 2016, 2017, 2018}


def test_law_names() -> None:
    assert named_in("《中华人民共和国预算法（2018年修正）》与《担保法》").laws == ("预算法", "担保法")
    assert title_key("中华人民共和国") == "中华人民共和国" or title_key("预算法") == "预算法"


def test_articles_of_passages() -> None:
    assert article_keys(Passage("法", "第一章　总则\n第五条　专项债务。依照第六条的规定。")) == ("5",)
    assert article_keys(Passage("法", "依照第六条的规定办理。", path="第二章 > 第七条之一")) == ("7-1",)
    assert article_keys(Passage("法", "第三条规定的情形除外。")) == ()


def test_issuers() -> None:
    assert issuer_keys("中华人民共和国财政部、国家税务总局 海关总署") == ("财政部", "国家税务总局", "海关总署")
    assert issuer_keys(None) == ()
