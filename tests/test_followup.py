"""Follow-up questions: which lean on the history, and what they become without a model."""

import pytest

from rag_server.followups.followup import Earlier, carry_topic, pick_earlier, topic_of
from rag_server.followups.leaning import leans_on_history
from rag_server.followups.rewriting import why_unusable
from rag_server.followups.rewriting_prompt import rewriting_messages
from rag_server.prompt import room
from rag_server.turn import Message
from rag_server.understand import answered_turns, dialogue, understand
from service_kit.deadline import Deadline
from service_kit.errors import DependencyDown
from service_kit.generation import Sampling

LEANING = [
    "它可以用于经常性支出吗？",
    "那一般债务呢？",
    "为什么？",
    "利息呢",
    "本金？",
    "这可以吗？",
    "该办法何时施行？",
    "上述债务由谁批准？",
    "其利息如何偿还？",
    "还有哪些用途？",
    "由谁负责？",
    "比例是多少？",
    "When was it passed?",
    "And the interest?",
    "Why?",
    "What about general bonds?",
    "可以延长吗？",
    "期限上限是多少？",
    "第七条？",
    "70%呢？",
    "90",
    "乡镇的由谁批准？",
    "后者由谁确定？",
    "如果是短收呢？",
    "具体说说",
    "期限又是多少？",
    "收费公路的最长多少年？",
    "同一个文件对三保是怎么要求的？",
    "土地出让金也归它管吗？",
    "其他债务如何处理？",
    "年底用不完怎么办？",
    "拟承接该资金的项目应当符合什么要求？",
    "计划单列市也一样？",
]
STANDING = [
    "什么是政府专项债务？",
    "专项债收入可以用于经常性支出吗？",
    "政府专项债务应当通过什么偿还？",
    "专项债券应该由谁批准？",
    "地方政府债务限额如何确定？",
    "国务院对其批准的限额有什么要求？",
    "财预〔2016〕155号什么时候施行？",
    "什么是一般债务呢？",
    "预算法",
    "负面清单",
    "什么情况下需要进行预算调整？",
    "那请问政府采购的主要方式是什么？",
    "还有多少种情形可以申请专项债用途调整？",
    "那曲市能发专项债券吗？",
    "谢谢！",
    "好的，谢谢您了",
    "鲍林规则这个名字是怎么来的？",
    "预算法第三十五条对此有什么规定？",
    "预算法第三十四条讲的是什么债务？",
    "财政重整又是什么条件下才启动？",
    "用人单位降低原劳动合同条件，遭劳动者拒绝，用人单位因此终止劳动关系是否违法？",
    "国务院规定的债务限额该由谁分配？",
    "这次新修订的预算法什么时候施行？",
    "财政部那年发布的办法有哪些？",
    "What is the law that governs general bonds?",
    "What is a special bond?",
    "Who approves the budget?",
]


@pytest.mark.parametrize("question", LEANING)
def test_it_leans(question: str) -> None:
    assert leans_on_history(question)


@pytest.mark.parametrize("question", STANDING)
def test_it_stands_alone(question: str) -> None:
    assert not leans_on_history(question)


@pytest.mark.parametrize(
    ("previous", "question", "full"),
    [
        ("什么是政府专项债务？", "它的利息可以发债偿还吗？", "政府专项债务的利息可以发债偿还吗？"),
        ("政府专项债务应当通过什么偿还？", "那一般债务呢？", "一般债务应当通过什么偿还？"),
        ("政府专项债务应当通过什么偿还？", "利息呢？", "政府专项债务的利息应当通过什么偿还？"),
        ("财预〔2016〕155号什么时候施行？", "该办法适用于哪些地区？", "财预〔2016〕155号适用于哪些地区？"),
        ("专项债收入可以用于经常性支出吗？", "为什么？", "为什么专项债收入可以用于经常性支出吗？"),
        ("专项债券可以用作项目资本金吗？", "比例是多少？", "专项债券可以用作项目资本金，比例是多少？"),
        ("2024年的赤字率是多少？", "2025年呢？", "2025年的赤字率是多少？"),
        ("预算法第三十四条怎么规定？", "那第三十五条呢？", "预算法第三十五条怎么规定？"),
        ("一般债务的本金能不能借新还旧？", "利息呢？", "一般债务的利息能不能借新还旧？"),
        ("余额和限额有什么区别？", "后者由谁确定？", "余额和限额有区别，限额由谁确定？"),
        ("《用途调整操作指引》的原则是什么？", "这个指引禁止哪些行为？", "《用途调整操作指引》禁止哪些行为？"),
        ("什么是预备费？", "Who approves it?", "预备费，Who approves it?"),
        ("局里的同志问：新增专项债要做预算调整吗？", "报谁批？", "新增专项债要做预算调整，报谁批？"),
        ("我想了解一下预备费的用途", "比例是多少？", "预备费的用途，比例是多少？"),
        ("What is the budget act?", "When was it passed?", "When was the budget act passed?"),
        ("一般债券和专项债券有什么区别？", "后者的期限怎么确定？", "专项债券的期限怎么确定？"),
        ("棚改债说的专项收入指啥", "收费公路的呢？", "棚改债说的专项收入指啥，收费公路的呢？"),
        ("国发〔2021〕5号讲了什么？", "2014年那份43号文说了什么？", "国发〔2021〕5号讲了，2014年那份43号文说了什么？"),
        ("预算法第三十四条怎么规定？", "三十五条呢？", "预算法第三十五条怎么规定？"),
        ("国发〔2014〕43号对融资平台有什么要求？", "那对考核呢？", "国发〔2014〕43号对考核有什么要求？"),
        ("其他部门能不能替政府举债？", "企业呢？", "企业能不能替政府举债？"),
        ("储备土地可不可以注入平台公司？", "它能抵押吗？", "储备土地能抵押吗？"),
        ("预算法是什么时候通过的？", "谁公布的？", "预算法通过的，谁公布的？"),
    ],
)
def test_the_topic_is_carried_over(previous: str, question: str, full: str) -> None:
    assert carry_topic(question, previous) == full


def test_a_bare_question_between_does_not_lose_the_topic() -> None:
    asked = ("周转金的额度上限是多少？", "现行的从哪天起施行？")
    history = [m for one in asked for m in (Message("user", one, one), Message("assistant", f"周转金，现行：{one}"))]
    understood = understand("年底用不完怎么办？", history, None, Deadline(), 5)
    assert understood.new_query == "周转金现行的从哪天起施行，年底用不完怎么办？"


def test_the_topic_is_what_stands_before_the_predicate() -> None:
    assert topic_of("2023年新增专项债务限额是多少？") == "2023年新增专项债务限额"
    assert topic_of("什么是政府专项债务？") == "政府专项债务"


HISTORY = (
    Message("user", "什么是政府专项债务？", "什么是政府专项债务？"),
    Message("assistant", "……"),
)


class Model:
    """Says what the test wants, and notes what it was asked."""

    def __init__(self, *answers: str | Exception, chats: bool = True) -> None:
        self.answers = list(answers)
        self.chats = chats
        self.asked: list[list[dict[str, str]]] = []

    def model(self, deadline: Deadline) -> room.Model:
        return room.Model(has_chat_template=self.chats)

    def chat(self, messages: list[dict[str, str]], deadline: Deadline, sampling: Sampling) -> str:
        self.asked.append(messages)
        answer = self.answers.pop(0)
        if isinstance(answer, Exception):
            raise answer
        return answer


def new_query(query: str, model: Model | None, history: tuple[Message, ...] = HISTORY) -> str:
    return understand(query, history, model, Deadline(), 5).new_query  # type: ignore[arg-type]


def test_a_question_that_stands_alone_costs_no_model_call() -> None:
    model = Model()
    assert new_query("专项债券由谁批准？", model) == "专项债券由谁批准？"
    assert new_query("它由谁批准？", model, ()) == "它由谁批准？"
    assert not model.asked


def test_the_model_rewrites_with_the_history_before_it() -> None:
    model = Model("政府专项债务的限额由谁批准？")
    assert new_query("它的限额由谁批准？", model) == "政府专项债务的限额由谁批准？"
    assert [message["role"] for message in model.asked[0]] == ["system", *["user", "assistant"] * 3, "user"]
    assert model.asked[0][-1]["content"] == "对话：\n问：什么是政府专项债务？\n答：……\n最后的问题：它的限额由谁批准？"


def test_a_rewriting_sees_earlier_questions_in_full_and_answers_cut() -> None:
    history = (*HISTORY, Message("user", "谁批准？", "政府专项债务由谁批准？"), Message("assistant", "由\n" * 200))
    shown = rewriting_messages("为什么？", history, "zh")[-1]["content"].splitlines()
    assert shown[3] == "问：政府专项债务由谁批准？"
    assert shown[4].startswith("答：由 由 由")
    assert len(shown) == 6
    assert len(shown[4]) < 160
    english = rewriting_messages("Why?", [Message("user", "Who?"), Message("assistant", "The council.")], "en")
    assert english[-1]["content"] == "Conversation:\nQ: Who?\nA: The council.\nLast question: Why?"


def test_a_base_model_is_not_asked() -> None:
    model = Model(chats=False)
    assert new_query("它由谁批准？", model) == "政府专项债务由谁批准？"
    assert not model.asked


def test_the_form_made_without_a_model_is_searched_beside_the_models() -> None:
    by_model = understand("它由谁批准？", HISTORY, Model("政府专项债务由谁来批准？"), Deadline(), 5)  # type: ignore[arg-type]
    assert (by_model.new_query, by_model.completed) == ("政府专项债务由谁来批准？", "政府专项债务由谁批准？")
    assert understand("它由谁批准？", HISTORY, None, Deadline(), 5).completed == ""
    doubtful = understand("专项债券由谁批准？", HISTORY, None, Deadline(), 5)
    assert (doubtful.new_query, doubtful.completed) == (doubtful.query, "政府专项债务，专项债券由谁批准？")


def test_what_was_compared_keeps_its_names() -> None:
    history = [
        Message("user", "一般债券和专项债券有什么区别？", "一般债券和专项债券有什么区别？"),
        Message("assistant", "一般债券和专项债券的偿还来源不同。"),
        Message("user", "后者列进哪本预算？", "专项债券列进哪本预算？"),
        Message("assistant", "专项债券列入政府性基金预算。"),
    ]
    assert understand("前者呢？", history, None, Deadline(), 5).new_query == "一般债券列进哪本预算？"


def test_a_question_is_searched_together_with_the_last_ones() -> None:
    history = [Message(role, f"第{n}问？") for n in range(5) for role in ("user", "assistant")]
    assert dialogue("多久？", history) == "第2问？，第3问？，第4问？，多久？"
    assert dialogue("多" * 400, history) == "多" * 300
    for asked in ("它由谁批准？", "专项债券由谁批准？"):
        assert understand(asked, HISTORY, None, Deadline(), 5).dialogue == f"{HISTORY[0].content}，{asked}"
    assert understand("什么是政府专项债务？", [], None, Deadline(), 5).dialogue == ""


@pytest.mark.parametrize("bad", ["由国务院批准。", "", "很长" * 200, "第一行\n第二行", DependencyDown("停", "down")])
def test_a_bad_rewriting_is_thrown_away_for_the_topic(bad: str | Exception) -> None:
    assert new_query("它由谁批准？", Model(bad)) == "政府专项债务由谁批准？"


def test_a_rewriting_in_another_language_is_thrown_away() -> None:
    assert why_unusable("它由谁批准？", "Who approves it?") == "another language"


def test_a_statement_is_no_rewriting_of_a_question_whose_mark_was_left_out() -> None:
    assert why_unusable("几年", "专项债券的期限不超过十年。") == "answers instead of asking"
    assert why_unusable("几年", "专项债券的期限是几年") is None
    assert why_unusable("请说明它的期限。", "请说明专项债券的期限。") is None


def test_a_question_given_back_as_it_came_is_no_rewriting() -> None:
    assert why_unusable("还有哪些例外？", "还有哪些例外") == "adds nothing"
    assert new_query("它由谁批准？", Model("它由谁批准？")) == "政府专项债务由谁批准？"


def test_rewriting_gets_its_budget_and_no_more() -> None:
    seen: list[float] = []

    class Slow(Model):
        def chat(self, messages: list[dict[str, str]], deadline: Deadline, sampling: Sampling) -> str:
            seen.append(deadline.remaining(at_most=1000))
            return "政府专项债务由谁批准？"

    understand("它由谁批准？", HISTORY, Slow(), Deadline(), 5)  # type: ignore[arg-type]
    understand("它由谁批准？", HISTORY, Slow(), Deadline.after(2), 5)  # type: ignore[arg-type]
    assert 4 < seen[0] <= 5
    assert 1 < seen[1] <= 2


@pytest.mark.parametrize(
    ("query", "kept"),
    [
        ("它在2023年的限额是多少？", "专项债务二〇二三年的限额是多少？"),
        ("它在2023年3月5日还有效吗？", "该办法在2023-03-05还有效吗？"),
        ("财预〔2016〕155号的呢？", "财预[2016]155号的期限是多少？"),
        ("那20%呢？", "违约比例百分之二十属于几级？"),
        ("那第三十五条呢？", "预算法第35条怎么规定？"),
    ],
)
def test_a_rewriting_must_keep_numbers_in_any_spelling(query: str, kept: str) -> None:
    assert why_unusable(query, kept) is None
    assert (why_unusable(query, "专项债务的限额是多少？") or "").startswith("drops")


def test_a_rewriting_must_keep_what_the_question_says_itself() -> None:
    assert why_unusable("那棚改专项债券呢？", "政府专项债务应当通过什么偿还？") == "drops the question's own words"
    assert why_unusable("那棚改专项债券呢？", "棚改专项债券应当通过什么偿还？") is None


def test_a_question_that_names_an_earlier_topic_returns_to_it() -> None:
    turns = [Earlier("收费公路专项债券的专项收入包括什么？", "甲"), Earlier("棚改专项债券由谁发行？", "乙")]
    assert pick_earlier("前面说的公路债，期限是多少？", turns).answer == "甲"
    assert pick_earlier("期限是多少？", turns).answer == "乙"


def test_a_refused_turn_lends_no_topic() -> None:
    refused = (*HISTORY, Message("user", "今天天气怎么样？", None), Message("assistant", "没有依据"))
    assert new_query("它由谁批准？", None, refused) == "政府专项债务由谁批准？"


def test_where_nothing_was_answered_a_follow_up_goes_on_from_the_last_question() -> None:
    refused = (
        Message("user", "银行能要求政府出承诺函吗？"),
        Message("assistant", "没有依据"),
        Message("user", "为什么？"),
        Message("assistant", "没有依据"),
    )
    assert new_query("如果已经出了呢？", None, refused) == "银行能要求政府出承诺函，如果已经出了呢？"
    assert new_query("专项债券由谁批准？", None, refused) == "专项债券由谁批准？"


def test_a_short_number_returns_to_the_document_that_bears_it() -> None:
    turns = [Earlier("财预〔2017〕50号文要求什么时候整改到位？", "甲"), Earlier("财预〔2017〕87号禁止什么？", "乙")]
    earlier = pick_earlier("50号文里对投资基金怎么规定的？", turns)
    assert earlier.answer == "甲"
    full = carry_topic("50号文里对投资基金怎么规定的？", earlier.question)
    assert full == "财预〔2017〕50号里对投资基金怎么规定的？"
    assert carry_topic("150号文呢？", earlier.question) != earlier.question


def test_one_word_shared_by_accident_is_no_return() -> None:
    turns = [Earlier("一般债务限额应当和什么收入匹配？", "甲"), Earlier("赤字可以发一般债券平衡吗？", "乙")]
    assert pick_earlier("要在什么限额之内？", turns).answer == "乙"
    assert pick_earlier("回到前面的限额，由谁批准？", turns).answer == "甲"
    assert pick_earlier("债务限额和收入都要公开吗？", turns).answer == "甲"


def test_a_long_chain_of_follow_ups_does_not_pile_up() -> None:
    history: tuple[Message, ...] = HISTORY
    for _ in range(14):
        full = new_query("期限上限是多少？", None, history)
        history = (*history, Message("user", "期限上限是多少？", full), Message("assistant", "……"))
    assert new_query("期限上限是多少？", None, history) == "政府专项债务，期限上限是多少？"


def test_the_topic_of_a_rewritten_turn_is_carried_on() -> None:
    history = (*HISTORY, Message("user", "它由谁批准？", "政府专项债务由谁批准？"), Message("assistant", "…"))
    assert new_query("那它的期限呢？", None, history) == "政府专项债务的期限呢？"


def test_an_answer_about_something_else_is_not_gone_on_from() -> None:
    beside = (Message("user", "帮我写一首诗", "帮我写一首诗"), Message("assistant", "自2021年1月1日起施行"))
    first = (Message("user", "存量债务的甄别办法", "存量债务的甄别办法"), Message("assistant", "清理甄别的存量债务……"))
    assert [turn.question for turn in answered_turns((*first, *beside))] == ["存量债务的甄别办法"]
    assert answered_turns(beside) == [Earlier("帮我写一首诗", "")]


def test_what_stands_in_every_answer_is_not_searched_with() -> None:
    question = "政府专项债务应当通过什么偿还？"
    notice, quoted = "以下为材料原文摘录，未经模型生成。", "“专项债务应当通过专项收入偿还。”[1]"
    answer = f"{notice}\n{quoted}\n依据：\n[1]《专项债务办法》（第十一条，a.txt）"
    history = (Message("user", question, question), Message("assistant", answer))
    context = understand("那利息呢？", history, None, Deadline.after(5), 5).context
    assert context == "“专项债务应当通过专项收入偿还。”\n《专项债务办法》（第十一条，a.txt）"
