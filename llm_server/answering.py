"""From a request to the pieces of its answer, counted."""

import time
from collections.abc import Generator

from llm_server.engines.engine import Engine, Request
from llm_server.metrics import LlmMetrics
from service_kit.errors import ClientGone, GenerationFailed, Overloaded
from service_kit.generation import Generation


def begin(engine: Engine, metrics: LlmMetrics, request: Request) -> Generation:
    """Raises what Engine.begin raises."""
    try:
        return engine.begin(request)
    except Overloaded:
        metrics.rejected.inc()
        raise


def counted(generation: Generation, metrics: LlmMetrics) -> Generator[str]:
    """The pieces of `generation`, whose making ends when this generator is closed. Raises what Generation raises."""
    began, waits = time.perf_counter(), True
    try:
        for piece in generation:
            if waits:
                metrics.ttft.observe(time.perf_counter() - began)
                waits = False
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
