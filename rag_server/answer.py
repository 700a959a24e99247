"""Stage 4: the model answers from the evidence, or the evidence is quoted."""

import logging
from collections.abc import Sequence

from rag_server.assemble import assemble
from rag_server.confidence import lacks_basis
from rag_server.extract import extract, refuse
from rag_server.llm import LLM
from rag_server.turn import Answer, Message, Retrieved, Understood
from service_kit.deadline import Deadline
from service_kit.errors import ContextTooLong, DependencyDown, GenerationFailed, PayloadTooLarge, YijuError
from service_kit.logs import event
from service_kit.words import Words

logger = logging.getLogger(__name__)

_NOT_SPOKEN = Words("模型不适用于该语言，以原文摘录作答。", "The model does not speak this language; quoting instead.")
_NOT_READY = Words("模型服务未就绪，以原文摘录作答。", "The model service is not ready; quoting instead.")
_BROKE = Words("模型生成失败，以原文摘录作答。", "The model failed to generate; quoting instead.")
_TOO_LONG = Words("问题与材料超过模型的上下文，以原文摘录作答。", "Too long for the model; quoting instead.")


def answer(
    understood: Understood,
    retrieved: Retrieved,
    history: Sequence[Message],
    *,
    llm: LLM | None,
    languages: Sequence[str],
    deadline: Deadline,
    must_generate: bool,
    refuse_below: float,
) -> Answer:
    """The answer to one question.

    When the evidence gives less confidence than `refuse_below` it is a refusal, before any model is asked.
    Without an `llm` the evidence is quoted. With one it generates, unless it does not speak the question's language, is
    down, breaks or can not take so much: then the evidence is quoted as well and `notices` says why; with
    `must_generate` that is an error instead.

    Raises:
        Overloaded, DeadlineExceeded, InvalidRequest: from the model service.
        DependencyDown, GenerationFailed, ContextTooLong, PayloadTooLarge: with `must_generate` only.
    """
    if lacks_basis(understood.new_query, retrieved, refuse_below):
        return refuse(understood)
    if llm is None:
        return extract(understood, retrieved)
    if understood.lang not in languages and not must_generate:
        return _quoting(understood, retrieved, _NOT_SPOKEN)
    try:
        text = llm.chat(assemble(understood, retrieved.evidence, history), deadline)
    except (DependencyDown, GenerationFailed, ContextTooLong, PayloadTooLarge) as error:
        if must_generate:
            raise
        event(logger, "answering without the model", reason=str(error))
        return _quoting(understood, retrieved, _why(error))
    return Answer(text, "generate")


def _why(error: YijuError) -> Words:
    if isinstance(error, DependencyDown):
        return _NOT_READY
    return _BROKE if isinstance(error, GenerationFailed) else _TOO_LONG


def _quoting(understood: Understood, retrieved: Retrieved, why: Words) -> Answer:
    quoted = extract(understood, retrieved)
    return Answer(quoted.text, quoted.mode, quoted.quotes, (*quoted.notices, why.to(understood.lang)))
