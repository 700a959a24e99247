"""One request's sampling parameters with every gap filled."""

from dataclasses import dataclass

from llm_server.model.loaded import Defaults
from service_kit.generation import Sampling

GREEDY_BELOW = 1e-5
"""A temperature so small that dividing by it would overflow; it means greedy."""


@dataclass(frozen=True)
class Choice:
    """How each next token is chosen, and when the answer ends."""

    temperature: float
    """0 is greedy."""
    top_p: float
    top_k: int
    """0 is no limit."""
    repetition_penalty: float
    seed: int | None
    stop: tuple[str, ...]
    max_tokens: int


def resolve(sampling: Sampling, defaults: Defaults, most_tokens: int) -> Choice:
    """The request's wish, else the model's default; never more than `most_tokens` tokens."""
    temperature = _first(sampling.temperature, defaults.temperature)
    return Choice(
        temperature=0.0 if temperature < GREEDY_BELOW else float(temperature),
        top_p=float(_first(sampling.top_p, defaults.top_p)),
        top_k=int(_first(sampling.top_k, defaults.top_k)),
        repetition_penalty=float(_first(sampling.repetition_penalty, defaults.repetition_penalty)),
        seed=sampling.seed,
        stop=sampling.stop,
        max_tokens=min(sampling.max_tokens or defaults.max_tokens or most_tokens, most_tokens),
    )


def _first(asked: float | None, default: float) -> float:
    return default if asked is None else asked
