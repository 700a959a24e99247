"""A follow-up question rewritten by the model, and whether what comes back can be searched with."""

import logging
from collections.abc import Sequence

from rag_server.checks.numbers import find_numbers
from rag_server.checks.tokens import fold
from rag_server.followup import pairs
from rag_server.leaning import own_words
from rag_server.llm import LLM
from rag_server.turn import Message
from service_kit.deadline import Deadline
from service_kit.errors import YijuError
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


def rewrite(query: str, history: Sequence[Message], llm: LLM, deadline: Deadline) -> str | None:
    """`query` in a form that stands alone, or None where the model fails, is late or gives something unusable.

    A base model, one without a chat template, is not asked: Gemma 3 270M, shown two worked examples, mostly repeats the
    question before, and even at a low weight that lost passages which the rules find.
    """
    messages = [{"role": message.role, "content": message.content} for message in history]
    messages.append({"role": "user", "content": _TASK[language_of(query)].format(query=query)})
    try:
        if not llm.model(deadline).has_chat_template:
            return None
        answer = llm.chat(messages, deadline)
    except YijuError as error:
        event(logger, "rewriting failed", reason=str(error))
        return None
    fault = why_unusable(query, answer)
    if fault:
        event(logger, "rewriting thrown away", reason=fault, rewriting=answer[:200])
        return None
    return answer.strip()


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
