"""Sentences that say a passage in other words: what binds alike is verified, what does not is marked."""

import pytest

from rag_server.turn import Evidence
from rag_server.verify import verify
from tools.evaluation.paraphrases import is_marked, run, sample_passages

TEXT = (
    "各单位不得截留专项资金。除国家另有规定外，各地应当在三十日内报告。罚款不超过五千元。未经批准，任何人不得进入。"
    "经本级政府批准，主管部门可以设立专户。规划由省级人民代表大会常务委员会审议。"
)


def is_verified(sentence: str) -> bool:
    evidence = (Evidence(1, "某办法", TEXT, None, None, None, None, None, 0.5),)
    return all(one.verified for one in verify(f"{sentence}[1]", evidence, {}, "zh"))


@pytest.mark.parametrize(
    "sentence",
    [
        "禁止各单位截留专项资金。",
        "各单位严禁截留专项资金。",
        "各地应在三十日以内报告，国家另有规定的除外。",
        "罚款最多为五千元。",
        "未经批准，禁止任何人进入。",
        "规划由省级人大常委会审议。",
    ],
)
def test_words_that_bind_alike_are_no_change(sentence: str) -> None:
    assert is_verified(sentence)


@pytest.mark.parametrize(
    "sentence",
    [
        "允许各单位截留专项资金。",
        "各地在三十日内报告，包括国家另有规定的情形。",  # without the exception
        "各地必须在三十日内报告，国家另有规定的除外。",  # 必须 is another word of the law
        "罚款不少于五千元。",
        "经批准，禁止任何人进入。",
        "经上级政府批准，主管部门可以设立专户。",
        "禁止主管部门截留专项资金。",
        "“禁止各单位截留专项资金”。",  # no quotation of it
    ],
)
def test_what_binds_otherwise_is_marked(sentence: str) -> None:
    assert not is_verified(sentence)


def test_each_sentence_is_compared_with_its_own_passage() -> None:
    passages = sample_passages()
    assert not is_marked("不同政府性基金科目之间不得调剂。", "special-debt-measures-05.txt", passages)
    assert is_marked("不同政府性基金科目之间不得调剂。", "special-debt-measures-04.txt", passages)


def test_the_measurement_has_a_row_for_each_half_and_kind() -> None:
    rows = {(row["half"], row["sentences"], row["kind"]): row for row in run(None).rows}
    totals = [rows[half, said, "all"] for half in ("development", "held-out") for said in ("true", "false")]
    assert [row["n"] for row in totals] == [44, 44, 38, 38]
    by_half = [row for (half, said, kind), row in rows.items() if half == "development" and said == "true"]
    assert sum(int(str(row["n"])) for row in by_half) == 2 * 44  # every kind, and all of them
    assert float(str(rows["development", "false", "all"]["marked"])) >= 0.97
