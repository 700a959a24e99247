"""A follow-up question rewritten by the model, and whether what comes back can be searched with."""

import logging
from collections.abc import Sequence

from rag_server.checks.numbers import find_numbers
from rag_server.checks.tokens import fold
from rag_server.followup import pairs
from rag_server.leaning import own_words
from rag_server.llm import LLM
from rag_server.turn import Message
from rag_server.worked_examples import STOPS
from service_kit.deadline import Deadline
from service_kit.errors import YijuError
from service_kit.generation import Sampling
from service_kit.logs import event
from service_kit.words import Lang, language_of

logger = logging.getLogger(__name__)

_TASK: dict[Lang, str] = {
    "zh": """请基于对话历史，对后续问题进行补全重构，如果后续问题与历史相关，你必须结合语境将\
代词替换为相应的指代内容，让它的提问更加明确；否则直接返回原始的后续问题。
注意：请不要对后续问题做任何回答和解释。

后续问题：{query}

修改后的后续问题：""",
    "en": """Rewrite the follow-up question so that it can be understood without the conversation: replace pronouns \
by what they refer to. If it has nothing to do with the conversation, return it unchanged.
Do not answer or explain it.

Follow-up question: {query}

Rewritten question:""",
}
_EXAMPLES: dict[Lang, str] = {
    "zh": """把追问改写成不看前一个问题也能懂的问题。

前一个问题：公务用车使用多少年可以更新？
追问：那到期了还能用的呢？
改写：公务用车到期了还能用的怎么处理？

前一个问题：二类会议的会期最长几天？
追问：由谁审批？
改写：二类会议由谁审批？

前一个问题：{previous}
追问：{query}
改写：""",
    "en": """Rewrite each follow-up so that it can be understood without the question before.

Question before: After how many years may an official car be replaced?
Follow-up: And if it still works?
Rewritten: What happens to an official car that still works after these years?

Question before: How long may a meeting of the second class last?
Follow-up: Who approves it?
Rewritten: Who approves a meeting of the second class?

Question before: {previous}
Follow-up: {query}
Rewritten:""",
}
_BASE_MODEL = Sampling(temperature=0.0, stop=STOPS["zh"][:1], max_tokens=96)
"""It goes on with the next example when it is not stopped."""


def rewrite(query: str, previous: str, history: Sequence[Message], llm: LLM, deadline: Deadline) -> str | None:
    """`query` in a form that stands alone, or None where the model fails, is late or gives something unusable.

    A chat model is given the whole history; a base model goes on with a text of two worked examples and `previous`, the
    question that this one goes on from.
    """
    try:
        if llm.model(deadline).has_chat_template:
            answer = llm.chat(_messages(query, history), deadline)
        else:
            answer = llm.chat(_text(query, previous), deadline, _BASE_MODEL)
    except YijuError as error:
        event(logger, "rewriting failed", reason=str(error))
        return None
    fault = why_unusable(query, answer)
    if fault:
        event(logger, "rewriting thrown away", reason=fault, rewriting=answer[:200])
        return None
    return answer.strip()


def _messages(query: str, history: Sequence[Message]) -> list[dict[str, str]]:
    past = [{"role": message.role, "content": message.content} for message in history]
    return [*past, {"role": "user", "content": _TASK[language_of(query)].format(query=query)}]


def _text(query: str, previous: str) -> str:
    """Each on a line of its own: a question of several would end the example."""
    previous, query = (" ".join(text.split()) for text in (previous, query))
    return _EXAMPLES[language_of(query)].format(previous=previous, query=query)


def why_unusable(query: str, rewriting: str) -> str | None:
    """Why a model's rewriting can not be searched with, or None when it can."""
    text = rewriting.strip()
    if not text or "\n" in text:
        return "not one line"
    if len(text) > 3 * len(query) + 80:
        return "too long to be the same question"
    missing = _numbers(query) - _numbers(text)
    if missing:
        return f"drops {min(missing)}"
    if language_of(query) != language_of(text):
        return "another language"
    if query.rstrip()[-1:] in "？?" and text[-1] in "。.":
        return "answers instead of asking"
    own = pairs(own_words(query))
    if 2 * len(own & pairs(own_words(text))) < len(own):
        return "drops the question's own words"
    return None


def _numbers(text: str) -> set[str]:
    """Numbers, dates and 文号, each in one form: 二〇二三年 is 2023年. The 一 of 一般 is none."""
    folded = fold(text)
    return {
        number.key for number in find_numbers(folded) if number.end - number.start > 1 or folded[number.start].isascii()
    }
