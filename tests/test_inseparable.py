"""Quoting: what would say something else alone comes with what it belongs to."""

import pytest

from rag_server.quoting.inseparable import listings, with_what_belongs
from rag_server.quoting.quote import MOST_QUOTES, find_quotes
from rag_server.sentences import cut_sentences
from rag_server.turn import Evidence
from service_kit.passages.analysis import question_terms

EXCEPT = (
    "第五条　以违反民主议定程序为由主张承包合同无效的，应予支持。但下列情形除外：\n（一）法律没有强制性规定的；\n"
    "（二）起诉前已经依法补正的；\n（三）承包方已经大量投入的。\n村民会议的决议应当公布。"
)
FINES = "有下列行为之一的，处一万元罚款；情节严重的，吊销许可证：(1)未登记；(2)未报告；(3)未保存。罚款上缴国库。"
NESTED = "材料包括：\n一、申请表；\n二、证明，包括：\n（一）身份证；\n（二）户口簿。\n三、照片。\n材料当场审查。"


def belonging(text: str, word: str, *, whole_list: bool = False) -> list[str]:
    """What is quoted for the sentence of `text` that begins with `word`."""
    sentences = cut_sentences(text)
    chosen = next(i for i, sentence in enumerate(sentences) if sentence.text.startswith(word))
    parts = with_what_belongs(chosen, sentences, whole_list=whole_list)
    return [text[sentences[part[0]].start : sentences[part[-1]].end] for part in parts]


def test_an_item_comes_with_what_introduces_it() -> None:
    assert belonging(EXCEPT, "（二）") == ["但下列情形除外：", "（二）起诉前已经依法补正的；"]


def test_the_introduction_brings_the_whole_list() -> None:
    assert belonging(EXCEPT, "但下列") == [EXCEPT[EXCEPT.index("但下列") : EXCEPT.index("\n村民")]]


def test_a_question_for_the_list_gets_all_of_it() -> None:
    assert belonging(EXCEPT, "（二）", whole_list=True) == belonging(EXCEPT, "但下列")


def test_a_rule_brings_the_proviso_behind_it_with_the_proviso_s_list() -> None:
    assert belonging(EXCEPT, "第五条")[1:] == belonging(EXCEPT, "但下列")


def test_an_introduction_in_clauses_is_quoted_from_its_beginning() -> None:
    assert belonging(FINES, "(2)") == [
        "有下列行为之一的，处一万元罚款；情节严重的，吊销许可证：(1)未登记；",
        "(2)未报告；",
    ]
    assert belonging(FINES, "有下列") == [FINES.removesuffix("罚款上缴国库。")]


def test_an_item_of_an_inner_list_brings_both_introductions() -> None:
    assert belonging(NESTED, "（二）") == ["材料包括：", "二、证明，包括：", "（二）户口簿。"]
    assert belonging(NESTED, "材料包括") == [NESTED.removesuffix("\n材料当场审查。")]


@pytest.mark.parametrize("word", ["村民会议"])
def test_what_stands_alone_is_quoted_alone(word: str) -> None:
    assert belonging(EXCEPT, word) == ["村民会议的决议应当公布。"]


@pytest.mark.parametrize(
    "text",
    [
        "他说：可以。第二天就走了。",
        "比分是3：1。2.5万人观看。",
        "电话：010-1234。（一）总则。",
        "第一条　甲：\n第二条　（一）乙。",
        "",
    ],
)
def test_a_colon_alone_makes_no_list(text: str) -> None:
    assert listings(cut_sentences(text)) == ()


def test_a_list_without_numbers_ends_with_its_last_semicolon() -> None:
    assert belonging("应当提交：\n申请表；\n身份证；\n照片。\n当场办理。", "应当提交") == [
        "应当提交：\n申请表；\n身份证；\n照片。"
    ]


def test_quotes_are_exact_and_no_more_than_three() -> None:
    question = "承包合同起诉前补正了，还能主张无效吗？"
    one = Evidence(1, "解释", EXCEPT, "a.txt", None, None, None, None, 0.5)
    quotes = find_quotes(question, (one,), dict.fromkeys(question_terms(question), 2.0))
    assert all(EXCEPT[q.start : q.end] == q.text for q in quotes)
    assert len(quotes) <= MOST_QUOTES
    assert "但下列情形除外：" in "".join(q.text for q in quotes)
