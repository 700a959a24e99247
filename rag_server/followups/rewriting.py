"""A follow-up question rewritten by the model, and whether what comes back can be searched with."""

import logging
from collections.abc import Sequence

from rag_server.checks.numbers import find_numbers
from rag_server.checks.tokens import fold
from rag_server.followups.followup import pairs
from rag_server.followups.leaning import own_words
from rag_server.followups.rewriting_prompt import rewriting_messages
from rag_server.llm import LLM
from rag_server.turn import Message
from service_kit.deadline import Deadline
from service_kit.errors import YijuError
from service_kit.generation import Sampling
from service_kit.logs import event
from service_kit.words import language_of

logger = logging.getLogger(__name__)

_SAMPLING = Sampling(temperature=0, max_tokens=128)
"""The same question is rewritten the same way each time; an essay is cut off."""


def rewrite(query: str, history: Sequence[Message], llm: LLM, deadline: Deadline) -> str | None:
    """`query` in a form that stands alone, or None where the model fails, is late or gives something unusable.

    A base model, one without a chat template, is not asked: Gemma 3 270M, shown two worked examples, mostly repeats the
    question before, and even at a low weight that lost passages which the rules find.
    """
    try:
        if not llm.model(deadline).has_chat_template:
            return None
        answer = llm.chat(rewriting_messages(query, history, language_of(query)), deadline, _SAMPLING)
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
    if _characters(text) == _characters(query):
        return "adds nothing"
    if len(text) > 3 * len(query) + 80:
        return "too long to be the same question"
    missing = _numbers(query) - _numbers(text)
    if missing:
        return f"drops {min(missing)}"
    if language_of(query) != language_of(text):
        return "another language"
    if text[-1] in "。." and query.rstrip()[-1:] not in ("。", "."):
        return "answers instead of asking"
    own = pairs(own_words(query))
    if 2 * len(own & pairs(own_words(text))) < len(own):
        return "drops the question's own words"
    return None


def _characters(text: str) -> list[str]:
    return [character for character in text if character.isalnum()]


def _numbers(text: str) -> set[str]:
    """Numbers, dates and 文号, each in one form: 二〇二三年 is 2023年. The 一 of 一般 is none."""
    folded = fold(text)
    return {
        number.key for number in find_numbers(folded) if number.end - number.start > 1 or folded[number.start].isascii()
    }
