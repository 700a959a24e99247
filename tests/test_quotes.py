"""Quoting: sentences are cut without loss, and the one that answers is chosen."""

from hypothesis import given
from hypothesis import strategies as st

from rag_server.extract import extract
from rag_server.quoting.quote import MOST_CHARACTERS, find_quotes, nearest_sentence
from rag_server.sentences import cut_sentences
from rag_server.turn import Evidence, Retrieved, Understood
from service_kit.passages.analysis import question_terms

TEXT = (
    "为规范专项债务预算管理，制定本办法。专项债务收入应当用于公益性资本支出，不得用于经常性支出。"
    "本办法自2016年11月9日起施行；由财政部负责解释。"
)


def evidence(text: str = TEXT, n: int = 1) -> Evidence:
    return Evidence(n, "办法", text, "a.txt", "财预〔2016〕155号", "2016-11-09", "第五条", None, 0.5)


def idf(question: str, rare: float = 2.0) -> dict[str, float]:
    return dict.fromkeys(question_terms(question), rare)


@given(st.text())
def test_sentences_lose_nothing_but_white_space(text: str) -> None:
    sentences = cut_sentences(text)
    assert all(text[s.start : s.end] == s.text for s in sentences)
    assert "".join("".join(s.text for s in sentences).split()) == "".join(text.split())


def test_a_closing_quote_belongs_to_its_sentence() -> None:
    assert [s.text for s in cut_sentences("他说：“可以。”然后走了。")] == ["他说：“可以。”", "然后走了。"]


def test_english_sentences_end_at_full_stops_not_at_decimal_points() -> None:
    texts = [s.text for s in cut_sentences("The rate is 3.5 percent. It rose. No. 5 stands.")]
    assert texts == ["The rate is 3.5 percent.", "It rose.", "No. 5 stands."]


def chosen(question: str) -> list[str]:
    return [quote.text for quote in find_quotes(question, (evidence(),), idf(question))]


def test_the_sentence_that_shares_the_rare_words_is_quoted() -> None:
    assert chosen("专项债务收入可以用于经常性支出吗？")[0].startswith("专项债务收入应当用于")


def test_a_question_for_a_date_prefers_the_sentence_with_one() -> None:
    assert "2016年11月9日" in "".join(chosen("本办法何时施行？"))


def test_the_right_kind_decides_between_equals() -> None:
    text = "专项债务限额由国务院确定。专项债务限额为2000亿元。"
    nearest = nearest_sentence("专项债务限额是多少？", evidence(text), idf("专项债务限额是多少？"))
    assert nearest is not None
    assert "2000亿元" in nearest.text


def test_one_sentence_is_enough_where_there_is_no_doubt() -> None:
    question = "专项债务收入可以用于经常性支出吗？"
    assert chosen(question) == ["专项债务收入应当用于公益性资本支出，不得用于经常性支出。"]


def test_a_pronoun_stands_for_the_sentence_before() -> None:
    text = "张三，海南文昌人，财政学家。他于1951年去世。海南岛四面环海，风景优美。"
    question = "财政学家张三在哪一年去世？"
    nearest = nearest_sentence(question, evidence(text), idf(question))
    assert nearest is not None
    assert nearest.text == "他于1951年去世。"


def test_few_characters_are_quoted() -> None:
    question = "专项债务收入本金利息限额偿还"
    text = "".join(f"{word}{'的有关规定较长' * 10}。" for word in ("专项债务收入", "本金利息", "限额偿还"))
    quotes = find_quotes(question, (evidence(text),), idf(question))
    assert sum(len(quote.text) for quote in quotes) <= MOST_CHARACTERS


def test_quotes_stand_in_the_passage_at_their_offsets() -> None:
    question = "经常性支出"
    for quote in find_quotes(question, (evidence(),), idf(question)):
        assert TEXT[quote.start : quote.end] == quote.text


def test_no_shared_word_no_quote() -> None:
    assert find_quotes("量子计算", (evidence(),), {}) == ()
    assert find_quotes("？？", (evidence(),), {}) == ()


def test_each_passage_has_a_nearest_sentence() -> None:
    question = "经常性支出"
    quote = nearest_sentence(question, evidence(), idf(question))
    assert quote is not None
    assert "经常性支出" in quote.text


def answer(question: str, *found: Evidence) -> str:
    understood = Understood(question, question, "zh")
    return extract(understood, Retrieved(found, idf(question), "embedded")).text


def test_an_extract_says_that_it_quotes_and_names_its_source() -> None:
    text = answer("专项债务收入可以用于经常性支出吗？", evidence())
    assert "未经模型生成" in text
    assert "“专项债务收入应当用于公益性资本支出，不得用于经常性支出。”[1]" in text
    assert "[1]《办法》（财预〔2016〕155号，第五条，a.txt）" in text


def test_only_cited_passages_are_listed() -> None:
    text = answer("专项债务收入可以用于经常性支出吗？", evidence(), evidence("与此无关。", 2))
    assert "[2]" not in text


def test_nothing_found_is_said() -> None:
    refusal = extract(Understood("量子计算", "量子计算", "zh"), Retrieved((evidence(),), {}, "embedded"))
    assert refusal.mode == "refuse"
    assert refusal.quotes == ()
    assert "没有找到" in refusal.text
