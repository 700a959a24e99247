"""From a request to the pieces of its answer, counted."""

import time
from collections.abc import Generator, Sequence

from llm_server.engines.engine import Engine, Prompt, Request
from llm_server.metrics import LlmMetrics
from service_kit.errors import ClientGone, GenerationFailed, NotFound, Overloaded
from service_kit.generation import Generation


def begin(engine: Engine, metrics: LlmMetrics, request: Request) -> Generation:
    """Raises what Engine.begin raises."""
    try:
        return engine.begin(request)
    except Overloaded:
        metrics.rejected.inc()
        raise


def scored(
    engine: Engine, metrics: LlmMetrics, prompts: Sequence[Prompt], following: Sequence[str], request: Request
) -> list[list[float]]:
    """Raises what Engine.score raises."""
    try:
        return engine.score(prompts, following, request)
    except Overloaded:
        metrics.rejected.inc()
        raise
    except ClientGone:
        metrics.cancelled.inc()
        raise
    except GenerationFailed:
        metrics.failed.inc()
        raise


def counted(generation: Generation, metrics: LlmMetrics) -> Generator[str]:
    """The pieces of `generation`, whose making ends when this generator is closed. Raises what Generation raises."""
    last, seen_by = time.perf_counter(), metrics.ttft
    try:
        for piece in generation:
            now = time.perf_counter()
            seen_by.observe(now - last)
            last, seen_by = now, metrics.between_tokens
            yield piece
    except (ClientGone, GeneratorExit):
        metrics.cancelled.inc()
        raise
    except GenerationFailed:
        metrics.failed.inc()
        raise
    finally:
        generation.cancel()
        metrics.tokens.inc(generation.usage.completion_tokens)
        metrics.prompt_tokens.inc(generation.usage.prompt_tokens)


def counts_of(engine: Engine, texts: Sequence[str]) -> list[int] | None:
    """Tokens of each text; None when this engine has no tokenizer."""
    try:
        return [engine.count(text) for text in texts]
    except NotFound:
        return None
