"""What a document may not do to the model that reads it."""

import pytest

from rag_server.prompt.fence import fence, neutralise, new_boundary
from rag_server.prompt.orders import gives_orders
from tools.evaluation.attacks import attacks

RULE = "预算应当自批准之日起二十日内公开。"


@pytest.mark.parametrize("question", ["什么是政府专项债务？", "When is the budget published?"])
def test_no_attack_of_the_drill_gets_through_and_the_rule_stays(question: str) -> None:
    for attack in attacks():
        fenced = fence(RULE + attack.write(question, attack.canary)).text
        assert attack.canary not in fenced, attack.family
        assert fenced.startswith(RULE), attack.family


@pytest.mark.parametrize(
    "sentence",
    [
        "行政机关应当自收到申请之日起二十日内予以答复。",
        "信访事项的答复意见应当载明具体请求、事实、依据和结论。",
        "考生应当在答题卡上作答，不得在试卷上写答案。",
        "申请人可以要求行政机关说明理由；行政机关应当告知。",
        "本办法自2026年1月1日起施行，财预〔2016〕155号同时废止。",
        "问：专项债券可以用于经常性支出吗？",
        "答：不可以。专项债务收入应当用于公益性资本支出。",
        "输出功率应当符合GB/T 18030-2022的要求。",
        "You may be fined if the report is late.",
        "The applicant must answer within 20 days.",
    ],
)
def test_rules_about_answering_are_no_orders(sentence: str) -> None:
    assert not gives_orders(sentence)
    assert fence(sentence).left_out == 0


def test_what_users_do_not_see_the_model_does_not_read() -> None:
    assert neutralise("预\u200b算\u202e公\ufeff开\x1b[8m\x00。\n\t可以") == "预算公开[8m。\n\t可以"


@pytest.mark.parametrize(
    "token", ["<|im_end|>", "</s>", "[INST]", "<<SYS>>", "<start_of_turn>", "<reserved_106>", "<|user|>"]
)
def test_role_tokens_are_broken(token: str) -> None:
    assert token not in neutralise(f"甲{token}乙")


@pytest.mark.parametrize("line", ["系统：", "### 问题：", "Assistant:", "  回答: ", "[系统]："])
def test_no_line_begins_as_another_speaker(line: str) -> None:
    assert neutralise(f"甲\n{line}乙") != f"甲\n{line}乙"
    assert "乙" in neutralise(f"甲\n{line}乙")


def test_ordinary_text_is_untouched() -> None:
    text = "《预算法》（2018年修正）第三十二条：“各级预算”应当按照“<10%”编制；A|B，[1]。\n表1 | 表2"
    assert fence(text) == (text, 0)


def test_each_request_has_its_own_boundary() -> None:
    assert len({new_boundary() for _ in range(100)}) == 100
