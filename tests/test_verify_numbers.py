"""Numbers in all their spellings come to one form, and different numbers do not."""

from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from rag_server.checks.numbers import find_numbers, value_of
from rag_server.checks.tokens import fold
from rag_server.verify import split_sentences
from tools.evaluation.numerals import chinese, chinese_digits, read_integer


def keys(text: str) -> list[str]:
    return [number.key for number in find_numbers(fold(text))]


@pytest.mark.parametrize(
    "spellings",
    [
        ("三十二", "32", "３２"),
        ("1.5万亿元", "15000亿元", "一万五千亿元", "1,500,000,000,000元"),
        ("2.38亿元", "23800万元", "二万三千八百万元"),
        ("二〇二三年", "2023年", "二零二三年", "二○二三年"),
        ("百分之五", "5%", "５％", "百分之5"),
        ("千分之三", "3‰", "百分之零点三", "0.3%"),
        ("2016年11月9日", "2016-11-09", "二〇一六年十一月九日", "2016.11.9", "2016/11/9", "2016年11月9号"),
        ("廿三", "二十三", "23"),
        ("两", "2", "二"),
        ("半年", "6个月"),
        ("一年半", "1.5年"),
        ("三点五", "3.5"),
        ("三十二千克", "32千克", "32公斤"),
        ("二十九点五千米", "29.5公里"),
        ("一千零四十七", "1047"),
        ("20日", "二十日", "20天"),
        ("20个工作日", "二十个工作日", "20工作日"),
        ("3至5年", "3年至5年", "三到五年", "3-5年", "3～5年"),
        ("3～5万元", "30000元至50000元"),
        ("5-10%", "5%至10%"),
        ("第三条", "第3条"),
        ("第一百零三条", "第103条"),
        ("〔2016〕155号", "[2016]155号", "（2016）第155号", "【２０１６】155号", "［2016］155号"),
        ("三分之二", "2/3"),
        ("八成", "80%"),
        ("3公里", "3000米", "3千米", "3km"),
        ("一百二", "120", "一百二十"),
        ("1亿2000万", "120000000"),
    ],
)
def test_spellings_of_one_number_are_equal(spellings: tuple[str, ...]) -> None:
    first, *others = map(keys, spellings)
    assert first
    assert all(other == first for other in others), [first, *others]


@pytest.mark.parametrize(
    ("one", "other"),
    [
        ("20日", "20个工作日"), ("3年", "3个月"), ("5元", "5万元"), ("5%", "5‰"), ("5%", "5"), ("第三条", "三条"),
        ("1.5亿", "1.5万"),
        ("〔2016〕155号", "〔2016〕156号"), ("2016年", "2017年"), ("3美元", "3元"), ("一百零二", "一百二"),
        ("0万元", "1万元"),
    ],
)  # fmt: skip
def test_different_numbers_differ(one: str, other: str) -> None:
    assert keys(one) != keys(other)


@given(st.integers(0, 10**12 - 1))
def test_chinese_numerals_read_back(n: int) -> None:
    assert value_of(chinese(n)) == n
    assert value_of(f"{n:,}") == n


@given(st.integers(1000, 9999))
def test_years_read_back(year: int) -> None:
    assert value_of(chinese_digits(year)) == year
    assert read_integer(chinese(year)) == year


@given(st.text(alphabet="一二十百千万亿点零〇两半分之年月日第%0123456789.,-/〔〕号至个工作成廿 元", max_size=24))
def test_any_mixture_is_read_without_failing(text: str) -> None:
    found = find_numbers(fold(text))
    assert all(0 <= n.start < n.end <= len(fold(text)) for n in found)
    assert all(a.start <= b.start for a, b in pairwise(found))


@given(st.text(alphabet="甲乙。！\n[1]2 ；”“.a", max_size=40))
def test_any_text_is_cut_without_loss(text: str) -> None:
    assert "".join(split_sentences(text)) == text
