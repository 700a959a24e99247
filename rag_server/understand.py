"""Stage 1: a question that leans on the history is rewritten so that it can be searched alone."""

import logging
from collections.abc import Sequence
from dataclasses import replace
from itertools import pairwise

from rag_server.extract import without_our_words
from rag_server.followups.followup import Earlier, carry_topic, name_sides, pairs, pick_earlier, with_topics
from rag_server.followups.leaning import leans_on_history, own_words
from rag_server.followups.rewriting import rewrite
from rag_server.llm import LLM
from rag_server.turn import Message, Understood
from service_kit.deadline import Deadline
from service_kit.logs import event
from service_kit.words import language_of

logger = logging.getLogger(__name__)

CONTEXT_LENGTH = 400
"""Characters of an earlier turn that a question is searched with."""
DIALOGUE_QUESTIONS, DIALOGUE_LENGTH = 3, 300
"""Questions before this one that it is searched together with, as they were asked, and characters of all of them: where
the rules complete it with the wrong thing, the right one is among them."""
DOUBTFUL_LENGTH = 12
"""A question with no more characters of its own may lean on the history although nothing in it shows it."""


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
    compared = next((turn.question for turn in reversed(turns) if name_sides(query, turn.question) != query), "")
    carried = carry_topic(query, earlier.question, compared)
    answer, completed = without_our_words(earlier.answer)[:CONTEXT_LENGTH], carried[:CONTEXT_LENGTH]
    asked = dialogue(query, history)
    if not leans:
        return Understood(query, query, lang, answer, completed, asked)
    rewritten = rewrite(query, history, llm, deadline.sooner(budget_s)) if llm else None
    event(logger, "rewritten", query=query, new_query=rewritten or carried, by="model" if rewritten else "topic")
    return Understood(query, rewritten or carried, lang, answer, completed if rewritten else "", asked)


def dialogue(query: str, history: Sequence[Message]) -> str:
    """The last questions as they were asked, refused ones too, and this one.

    >>> dialogue("多久？", [Message("user", "谁批准？"), Message("assistant", "国务院。")])
    '谁批准？，多久？'
    """
    earlier = [message.content for message in history if message.role == "user"]
    return "，".join([*earlier[-DIALOGUE_QUESTIONS:], query])[-DIALOGUE_LENGTH:]


def answered_turns(history: Sequence[Message]) -> list[Earlier]:
    """The turns of the history that were answered, oldest first; a refused one has no `standalone`.

    A question that was completed by putting an earlier one before it counts as that one, so that a chain of follow-ups
    does not pile up. Turns whose answer says nothing of what was asked are left out while there are others, and their
    answers where there are none.
    """
    turns = [
        Earlier(asked.standalone.removesuffix(f"，{asked.content}"), answer.content)
        for asked, answer in pairwise(history)
        if asked.standalone and answer.role == "assistant"
    ]
    return with_topics([turn for turn in turns if _to_the_point(turn)] or [replace(turn, answer="") for turn in turns])


def _to_the_point(turn: Earlier) -> bool:
    own = pairs(own_words(turn.question))
    return not own or any(pair in turn.answer for pair in own)


def refused_turns(history: Sequence[Message]) -> list[Earlier]:
    """Of a history in which nothing was answered, the last question that stands alone: a follow-up can only go on from
    that."""
    asked = [message.content for message in history if message.role == "user"]
    return [Earlier(question, "") for question in asked if not leans_on_history(question)][-1:]
