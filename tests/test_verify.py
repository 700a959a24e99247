"""The verify stage: what it lets pass, what it marks and why."""

import pytest

from rag_server.turn import CheckedSentence, Evidence
from rag_server.verify import marked, split_sentences, verify, verify_sentence
from tools.evaluation import unverifiable

BUDGET = (
    "举借的债务应当有偿还计划和稳定的偿还资金来源，只能用于公益性资本支出，不得用于经常性支出。"
    "各部门应当自收到批复之日起二十日内，向财政部备案；逾期的，处1.5万亿元罚款。"
    "省级人民政府可以在国务院确定的限额内举债。"
)
COMPANY = "甲公司于2016年11月9日在北京市成立，注册资本百分之五由乙公司出资。“诚信为本”是其宗旨。"
LIST = "下列财产不属于破产财产：\n（一）他人财产；\n（二）抵押物；\n（三）工会所有的财产。\n前款规定另有约定的除外。"


def passage(n: int, text: str, title: str = "办法", doc_no: str | None = None, path: str | None = None) -> Evidence:
    return Evidence(n, title, text, None, doc_no, None, path, None, 0.5)


EVIDENCE = (
    passage(1, BUDGET, "中华人民共和国预算法", "财预〔2016〕155号", "第四章 第三十五条"),
    passage(2, COMPANY, "甲公司"),
    passage(3, LIST, "破产规定"),
    passage(4, "各地应当全面组织开展担保整改工作，并应当在2017年7月31日前整改到位。", "通知"),
)


def check(sentence: str) -> CheckedSentence:
    return verify_sentence(sentence, EVIDENCE, {}, "zh")


@pytest.mark.parametrize(
    "sentence",
    [
        "举借的债务应当有偿还计划和稳定的偿还资金来源，只能用于公益性资本支出，不得用于经常性支出。[1]",
        "举借的债务只能用于公益性资本支出，不得用于经常性支出[1]。",
        "举借的债务不得用于经常性支出[1]。",
        "根据《预算法》第三十五条的规定，举借的债务不得用于经常性支出[1]。",
        "财预[2016]155号文件规定，举借的债务不得用于经常性支出[1]。",
        "《中华人民共和国预算法》（财预（２０１６）第155号）第35条规定：举借的债务不得用于经常性支出[1]。",
        "综上所述，材料显示，省级人民政府可以在国务院确定的限额内举债【1】。",
        "各部门应当自收到批复之日起20日内，向财政部备案[1]。",
        "各部门应当自收到批复之日起２０天内，向财政部备案[1]。",
        "逾期的，处15000亿元罚款[1]。",
        "甲公司于2016-11-09在北京市成立，注册资本5%由乙公司出资[2]。",
        "甲公司于二〇一六年十一月九日在北京市成立[2]。",
        "甲公司2016年成立于北京市[2]。",
        "“诚信为本”是其宗旨[2]。",
        "各地应当在2017年7月31日前整改到位[4]。",
        "对于债务的用途，举借的债务不得用于经常性支出[1]。",
        "下列财产不属于破产财产：（三）工会所有的财产[3]。",
        "省级人民政府可以在限额内举债[1]，甲公司于2016年在北京市成立[2]。",
    ],
)
def test_what_the_passage_says_is_verified(sentence: str) -> None:
    checked = check(sentence)
    assert checked.verified, checked.reason
    assert not checked.added
    assert checked.text == sentence


@pytest.mark.parametrize(
    ("sentence", "reason"),
    [
        ("省级人民政府可以在国务院确定的限额内举债[7]。", "没有第[7]条材料"),
        ("各部门应当自收到批复之日起三十日内，向财政部备案[1]。", "数字“三十日”"),
        ("各部门应当自收到批复之日起20个工作日内，向财政部备案[1]。", "数字“20个工作日”"),
        ("逾期的，处1.5万元罚款[1]。", "数字“1.5万元”"),
        ("甲公司于2016年11月8日在北京市成立[2]。", "数字“8日”"),
        ("注册资本20日由乙公司出资[2]。", "数字“20日”"),
        ("省级人民政府可以自二十日内在国务院确定的限额内举债[1]。", "数字“二十日”"),
        ("甲公司于2016年11月9日在北京市成立，注册资本千分之五由乙公司出资[2]。", "数字“千分之五”"),
        ("根据《预算法》第三十六条的规定，举借的债务不得用于经常性支出[1]。", "第三十六条"),
        ("财库〔2016〕155号规定，举借的债务不得用于经常性支出[1]。", "财库〔2016〕155号"),
        ("根据《担保法》，举借的债务不得用于经常性支出[1]。", "引文“担保法”"),
        ("“诚实守信”是其宗旨[2]。", "引文“诚实守信”"),
        ("举借的债务可以用于经常性支出[1]。", "“可以”"),
        ("省级人民政府不可以在国务院确定的限额内举债[1]。", "“不”"),
        ("省级人民政府应当在国务院确定的限额内举债[1]。", "“应当”在[1]中是“可以”"),
        ("下列财产属于破产财产：（三）工会所有的财产[3]。", "漏掉了[3]中的“不”"),
        ("各部门应当自收到批复之日起20日内，向国务院备案[1]。", "“国务院”在[1]中是“财政部”"),
        ("乙公司于2016年11月9日在北京市成立，注册资本百分之五由甲公司出资[2]。", "“乙”在[2]中是“甲”"),
        ("甲公司于2016年11月9日在南京市成立[2]。", "“南京市”在[2]中是“北京市”"),
        ("省级人民政府可以在国务院确定的限额内，向财政部备案[1]。", "不同的句子"),
        ("省级人民政府可以在国务院确定的限额内举债[2]。", "[1]支持这句话"),
        ("专项债券由银行托管[1]。", "不在[1]中"),
        ("专项债券由银行托管。", "没有标注依据"),
    ],
)
def test_what_the_passage_does_not_say_is_marked_with_its_reason(sentence: str, reason: str) -> None:
    checked = check(sentence)
    assert not checked.verified
    assert checked.reason is not None
    assert checked.reason.startswith("未核实：")
    assert reason in checked.reason
    assert checked.text == sentence


@pytest.mark.parametrize(
    "sentence",
    [
        "您好。",
        "参考中没有依据。",
        "材料中没有提到期限[1]。",
        "根据提供的材料，无法确定金额。",
        "依据：\n",
        "……",
    ],
)
def test_a_sentence_that_claims_nothing_passes(sentence: str) -> None:
    checked = check(sentence)
    assert checked.verified
    assert not checked.added


@pytest.mark.parametrize("sentence", ["希望工程始于1989年[1]。", "没有规定期限的，不予受理[1]。"])
def test_a_claim_that_only_looks_like_none_is_checked(sentence: str) -> None:
    assert not check(sentence).verified


def test_a_mark_is_added_where_one_passage_clearly_supports_the_sentence() -> None:
    checked = check("甲公司于2016年11月9日在北京市成立。\n")
    assert (checked.verified, checked.added, checked.cites) == (True, True, (2,))
    assert checked.text == "甲公司于2016年11月9日在北京市成立。\n"
    assert marked(checked) == "甲公司于2016年11月9日在北京市成立。[2]\n"


def test_reasons_are_in_the_language_of_the_answer() -> None:
    english = passage(1, "The council may approve the budget within 20 days. The mayor shall not veto it.")
    good, bad = verify(
        "The mayor shall not veto it.[1] The council may approve the budget within 30 days.[1]", (english,), {}, "en"
    )
    assert good.verified
    assert bad.reason == "not verified: “30” is not in [1]"
    assert not verify_sentence("The mayor may veto it [1].", (english,), {}, "en").verified


def test_rare_words_weigh_more() -> None:
    evidence = (passage(1, "本办法适用于地方财政部门的专项债券发行工作。"),)
    sentence = "本办法适用于涉及隐私的地方财政部门的专项债券发行工作。[1]"
    assert verify_sentence(sentence, evidence, {}, "zh").verified
    assert not verify_sentence(sentence, evidence, {"隐私": 60.0, "发行": 1.0, "工作": 1.0}, "zh").verified


def test_a_semicolon_with_marks_makes_two_statements() -> None:
    """Each is compared for itself; without a mark of its own the first is no statement but half of a splice."""
    assert check("逾期的，处1.5万亿元罚款[1]；举借的债务应当有偿还计划[1]。").verified
    assert not check("逾期的，处1.5万亿元罚款，应当有偿还计划[1]。").verified


@pytest.mark.parametrize(
    "lead",
    [
        "根据您提供的资料，",
        "针对您的提问，",
        "从材料[2]可以看出，",
        "根据第[2]条资料，",
        "资料[2]中提到，",
        "根据检索到的内容，",
        "值得一提的是，",
        "据资料记载，",
        "相关规定如下：",
        "《预算法》（财预〔2016〕155号文）规定，",
        "1. ",
    ],
)
def test_what_leads_in_claims_nothing(lead: str) -> None:
    said = "省级人民政府可以在国务院确定的限额内举债[1]。"
    checked = check(lead + said)
    assert checked.verified, checked.reason
    assert not check(lead + said.replace("可以", "不得")).verified


@pytest.mark.parametrize(("said", "passes"), [("外交机构保护", True), ("领事机构保护", False)])
def test_what_stands_in_brackets_may_be_left_out(said: str, passes: bool) -> None:
    evidence = (passage(1, "我国的外交(常驻代表)机构保护归侨、侨眷在境外的合法权益。"),)
    assert verify_sentence(f"我国的{said}归侨、侨眷在境外的合法权益[1]。", evidence, {}, "zh").verified is passes


def test_a_later_clause_that_the_passage_does_not_have_is_marked() -> None:
    """Over the whole sentence its words are few: their share alone would let it pass."""
    first = "举借的债务应当有偿还计划和稳定的偿还资金来源，只能用于公益性资本支出"
    assert check(f"{first}[1]。").verified
    assert "派出" in (check(f"{first}，每队派出球员作赛[1]。").reason or "")


@pytest.mark.parametrize(
    ("counted", "passes"), [("人", True), ("名", True), ("个", True), ("户", False), ("次", False)]
)
def test_what_is_counted_must_be_the_same(counted: str, passes: bool) -> None:
    evidence = (passage(1, "该区人口为30,675人，提供工作岗位41,424个。"),)
    assert (
        verify_sentence(f"该区人口为30675{counted}，提供工作岗位41,424个[1]。", evidence, {}, "zh").verified is passes
    )


@pytest.mark.parametrize(
    ("text", "sentences"),
    [
        ("可以。[1]不得！[2][3]\n完", ("可以。[1]", "不得！[2][3]\n", "完")),
        ("一是1.5万元。\n\n1. 二[1]。", ("一是1.5万元。\n\n", "1. 二[1]。")),
        ("“可以。”[1]“不得。”[2]", ("“可以。”[1]", "“不得。”[2]")),
        ("It may. See No. 5 [1].", ("It may. ", "See No. 5 [1].")),
        ("\n可以", ("\n可以",)),
        ("", ()),
    ],
)
def test_sentences_lose_nothing(text: str, sentences: tuple[str, ...]) -> None:
    assert split_sentences(text) == sentences
    assert "".join(split_sentences(text)) == text


def test_the_samples_alone_meet_the_bars() -> None:
    table = unverifiable.run(None)
    assert not table.missed
    assert {row["sentences"] for row in table.rows} == {"true", "corrupted"}


def test_what_holds_of_a_part_only_is_not_said_of_the_whole() -> None:
    debt = passage(1, "政府专项债务的本金应当通过对应的政府性基金收入、专项收入、发行专项债券等偿还。", "专项债务办法")

    def is_verified(sentence: str) -> bool:
        return verify_sentence(sentence, (debt,), {}, "zh").verified

    assert is_verified("政府专项债务的本金应当通过对应的政府性基金收入、专项收入、发行专项债券等偿还[1]。")
    assert not is_verified("政府专项债务应当通过对应的政府性基金收入、专项收入、发行专项债券等偿还[1]。")
    assert not is_verified("政府专项债务应当通过对应的政府性基金收入、专项收入、发行专项债券等偿还。")
