"""Stage 4: the model answers from the evidence, or the evidence is quoted, or the material holds no basis."""

import logging
from collections.abc import Generator, Iterator
from dataclasses import dataclass, replace

from rag_server.events import Delta, Event, SentenceChecked, Status
from rag_server.llm import LLM, Prompt
from rag_server.marking import Marking, Rules
from rag_server.timings import Timings
from rag_server.turn import Answer, CheckedSentence
from service_kit.deadline import Deadline
from service_kit.errors import (
    ContextTooLong,
    DependencyDown,
    GenerationFailed,
    PayloadTooLarge,
    Stopped,
    YijuError,
)
from service_kit.generation import Sampling
from service_kit.logs import event
from service_kit.words import Lang, Words

logger = logging.getLogger(__name__)

NOT_SPOKEN = Words("模型不适用于该语言，以原文摘录作答。", "The model does not speak this language; quoting instead.")
_NOT_READY = Words("模型服务未就绪，以原文摘录作答。", "The model service is not ready; quoting instead.")
_BROKE = Words("模型生成失败，以原文摘录作答。", "The model failed to generate; quoting instead.")
_TOO_LONG = Words("问题与材料超过模型的上下文，以原文摘录作答。", "Too long for the model; quoting instead.")
_STOPPED = Words("回答被停止，内容不完整。", "The answer was stopped; it is not complete.")
_CUT = Words("回答达到长度上限，内容不完整。", "The answer reached its longest length; it is not complete.")

MODEL_FAULTS = (DependencyDown, GenerationFailed, ContextTooLong, PayloadTooLarge)
"""What quoting can make up for."""


@dataclass(frozen=True)
class Generating:
    """What a model needs to answer."""

    llm: LLM
    prompt: Prompt
    sampling: Sampling
    rules: Rules
    deadline: Deadline


def generate(asked: Generating, timings: Timings) -> Generator[Event, None, Answer]:
    """The model's answer as it comes, each sentence checked when it ends. A stop keeps what there is.

    Raises:
        MODEL_FAULTS, Overloaded, DeadlineExceeded, InvalidRequest: from the model service.
    """
    marking, reply, stopped = Marking(asked.rules), asked.llm.begin(asked.prompt, asked.deadline, asked.sampling), False
    try:
        for piece in reply:
            timings.first_token()
            with timings.measured("verify"):
                news = tuple(marking.feed(piece))
            yield from news
    except Stopped:
        stopped = True
    except MODEL_FAULTS:
        if marking.text:
            yield Status("restart")
        raise
    cut = stopped or reply.finish_reason == "length"
    with timings.measured("verify"):
        news = tuple(marking.end(unfinished=cut))
    yield from news
    notices = ((_STOPPED if stopped else _CUT).to(asked.rules.lang),) if cut else ()
    return Answer(
        marking.text,
        "generate",
        notices=notices,
        sentences=marking.sentences,
        finish_reason=reply.finish_reason,
        usage=reply.usage,
        stopped=stopped,
    )


def told(answer: Answer) -> Iterator[Event]:
    """An answer that is whole already, as events."""
    yield Delta(answer.text)
    yield from map(SentenceChecked, answer.sentences)


def quoted(answer: Answer, why: Words | None, lang: Lang) -> Answer:
    """`answer`, which only quotes: its quotations as sentences (verified by being quotations), `why` as a notice."""
    sentences = tuple(CheckedSentence(q.text, (q.n,), verified=True, added=False, reason=None) for q in answer.quotes)
    return replace(answer, sentences=sentences, notices=(*answer.notices, *((why.to(lang),) if why else ())))


def stopped_before(lang: Lang) -> Answer:
    """The answer of a turn that was stopped before there was any."""
    return Answer("", "extract", notices=(_STOPPED.to(lang),), stopped=True)


def why_quoting(error: YijuError, *, expected: bool) -> Words | None:
    """What the user is told when quoting has to make up for one of MODEL_FAULTS: nothing where no model is `expected`,
    and there is none."""
    event(logger, "answering without the model", reason=str(error))
    if isinstance(error, DependencyDown):
        return _NOT_READY if expected else None
    return _BROKE if isinstance(error, GenerationFailed) else _TOO_LONG
