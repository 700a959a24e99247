"""Stage 1: a question that leans on the history is rewritten so that it can be searched alone."""

import logging
import re
from collections.abc import Sequence
from itertools import pairwise

from rag_server.checks.numbers import find_numbers
from rag_server.checks.tokens import fold
from rag_server.followup import Earlier, carry_topic, pairs, pick_earlier
from rag_server.leaning import leans_on_history, own_words
from rag_server.llm import LLM
from rag_server.turn import Message, Understood
from service_kit.deadline import Deadline
from service_kit.errors import YijuError
from service_kit.logs import event
from service_kit.words import Lang

logger = logging.getLogger(__name__)

CONTEXT_LENGTH = 400
"""Characters of an earlier turn that a question is searched with."""
DOUBTFUL_LENGTH = 12
"""A question with no more characters of its own may lean on the history although nothing in it shows it."""

_CJK = re.compile(r"[㐀-鿿豈-﫿]")
_LATIN = re.compile(r"[A-Za-z]")
_PROMPT_ZH = """请基于对话历史，对后续问题进行补全重构，如果后续问题与历史相关，你必须结合语境将\
代词替换为相应的指代内容，让它的提问更加明确；否则直接返回原始的后续问题。
注意：请不要对后续问题做任何回答和解释。

后续问题：{query}

修改后的后续问题："""
_PROMPT_EN = """Rewrite the follow-up question so that it can be understood without the conversation: replace pronouns \
by what they refer to. If it has nothing to do with the conversation, return it unchanged.
Do not answer or explain it.

Follow-up question: {query}

Rewritten question:"""


def language_of(text: str) -> Lang:
    """`en` when the text holds Latin letters and no Chinese character, else `zh`."""
    return "en" if _LATIN.search(text) and not _CJK.search(text) else "zh"


def understand(
    query: str, history: Sequence[Message], llm: LLM | None, deadline: Deadline, budget_s: float
) -> Understood:
    """The question in a form that stands alone; a question that does so already costs no model call.

    With an `llm` it rewrites within `budget_s` seconds; without one, or when the rewriting is late, fails or can not
    be used, the topic of the last turn is carried over.
    """
    lang = language_of(query)
    leans = leans_on_history(query)
    turns = answered_turns(history) or (refused_turns(history) if leans else [])
    if not turns:
        return Understood(query, query, lang)
    if not leans and len(own_words(query)) > DOUBTFUL_LENGTH:
        return Understood(query, query, lang)
    earlier = pick_earlier(query, turns)
    carried = carry_topic(query, earlier.question)
    if not leans:
        return Understood(query, query, lang, carried[:CONTEXT_LENGTH])
    rewritten = _rewrite(query, history, llm, deadline.sooner(budget_s), lang) if llm else None
    event(logger, "rewritten", query=query, new_query=rewritten or carried, by="model" if rewritten else "topic")
    return Understood(query, rewritten or carried, lang, earlier.answer[:CONTEXT_LENGTH])


def answered_turns(history: Sequence[Message]) -> list[Earlier]:
    """The turns of the history that were answered, oldest first; a refused one has no `standalone`.

    A question that was completed by putting an earlier one before it counts as that one, so that a chain of follow-ups
    does not pile up.
    """
    return [
        Earlier(asked.standalone.removesuffix(f"，{asked.content}"), answer.content)
        for asked, answer in pairwise(history)
        if asked.standalone and answer.role == "assistant"
    ]


def refused_turns(history: Sequence[Message]) -> list[Earlier]:
    """Of a history in which nothing was answered, the last question that stands alone: a follow-up can only go on from
    that."""
    asked = [message.content for message in history if message.role == "user"]
    return [Earlier(question, "") for question in asked if not leans_on_history(question)][-1:]


def _rewrite(query: str, history: Sequence[Message], llm: LLM, deadline: Deadline, lang: Lang) -> str | None:
    prompt = (_PROMPT_ZH if lang == "zh" else _PROMPT_EN).format(query=query)
    messages = [{"role": message.role, "content": message.content} for message in history]
    try:
        answer = llm.chat([*messages, {"role": "user", "content": prompt}], deadline)
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
