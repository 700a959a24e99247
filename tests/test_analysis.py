"""The terms of passages and questions."""

import unicodedata
from collections import Counter
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from es_index.scan import list_files, read_passage
from service_kit.passages import analysis
from service_kit.passages.analysis import joined_terms, passage_terms, question_terms, sentence_terms

SAMPLES = Path(__file__).resolve().parent.parent / "preprocess_data"


def test_words_then_bigrams() -> None:
    assert sentence_terms("专项债务2024") == ["专项", "债务", "2024", "专项", "项债", "债务", "2024"]


def test_a_lone_character_stays_itself() -> None:
    assert sentence_terms("税 A股") == ["税", "a", "股", "税", "a", "股"]


def test_state_name_is_cut_from_titles_only() -> None:
    assert passage_terms("中华人民共和国预算法", "") == sentence_terms("预算法")
    assert "中华" in passage_terms("", "中华人民共和国")


def test_question_words_leave_both_streams() -> None:
    terms = question_terms("什么是政府专项债务？")
    assert terms == ["政府", "专项", "债务", "是政", "政府", "府专", "专项", "项债", "债务"]


def test_single_question_characters_stay_in_bigrams() -> None:
    assert "年度" in question_terms("年度预算是多少")
    assert "年" not in question_terms("年度预算是多少")


@pytest.mark.parametrize("question", ["什么", "是谁？", "多少", "的"])
def test_question_words_alone_are_kept(question: str) -> None:
    assert question_terms(question)


@pytest.mark.parametrize("question", ["", " \n", "？！……", "🙂🙂", "_ - +"])
def test_no_letter_no_term(question: str) -> None:
    assert question_terms(question) == []


def test_full_width_and_case_are_folded() -> None:
    assert sentence_terms("ＧＢ１８０３０") == sentence_terms("gb18030") == ["gb18030", "gb18030"]


def test_long_runs_are_cut() -> None:
    assert {len(term) for term in sentence_terms("x" * 100_000)} == {64}


def test_terms_hold_no_white_space() -> None:
    text = "".join(chr(code) for code in (*range(1, 0x3100), *range(0xFF00, 0xFFFF))) * 2
    assert all(term.split() == [term] for term in sentence_terms(text) + question_terms(text))


@given(
    st.text(
        st.sampled_from("专项，。A１ab\u200b\u0301\u0308ｶﾞΣσ\u1100\u1161가㈱ﬁİ豈\U0002f800 \n") | st.characters(),
        max_size=30,
    )
)
def test_folding_by_pieces_is_folding_the_whole(text: str) -> None:
    whole = unicodedata.normalize("NFKC", analysis._INVISIBLE.sub("", text)).lower()
    assert analysis.fold(text) == whole


_MIXED = st.text(st.sampled_from("专项债〇々中a1Ａ９．，。 \n\r_-.%+&#ﬁ豈𠀀𠀁ꀁ\u3000\u200b①カﾞ한\ua000"), max_size=25)


@given(st.lists(st.tuples(_MIXED, _MIXED), max_size=6))
def test_many_passages_at_once_have_the_terms_of_each(passages: list[tuple[str, str]]) -> None:
    joined = joined_terms(passages)
    assert [sorted(one.split(" ")) if one else [] for one in joined] == [
        sorted(passage_terms(title, text)) for title, text in passages
    ]


def test_the_samples_at_once() -> None:
    samples = [(one.title, one.text) for one in (read_passage(SAMPLES, file) for file in list_files(SAMPLES).files)]
    assert len(samples) > 50
    assert [Counter(one.split(" ")) for one in joined_terms(samples)] == [
        Counter(passage_terms(title, text)) for title, text in samples
    ]
