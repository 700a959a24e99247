"""The interface of an engine: messages and sampling parameters in, pieces of text out."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import NamedTuple, Protocol

from service_kit.deadline import Deadline
from service_kit.generation import Generation, Message, Sampling

Prompt = tuple[Message, ...] | str
"""A conversation, which is put into the model's chat template, or plain text to go on with."""


@dataclass(frozen=True)
class Request:
    """One answer that is wanted."""

    prompt: Prompt
    sampling: Sampling = field(default_factory=Sampling)
    deadline: Deadline = field(default_factory=Deadline)
    is_gone: Callable[[], bool] = lambda: False
    """Whether the client has hung up; asked from any thread."""


@dataclass(frozen=True)
class ModelCard:
    """What is known of the model that answers; None where the engine can not tell."""

    name: str
    max_model_len: int | None = None
    """Tokens that prompt and answer may have together."""
    has_chat_template: bool | None = None


class Load(NamedTuple):
    """Requests in the engine at this moment."""

    waiting: int
    running: int
    kv_used: int = 0
    """Tokens of KV memory promised to requests, of `kv_total`. This and what follows: `batch` only."""
    kv_total: int = 0
    prefix_lookups: int = 0
    prefix_hits: int = 0
    prefix_tokens_reused: int = 0
    prefix_tokens_kept: int = 0
    tokens_per_s: float = 0.0


class Engine(Protocol):
    """Safe to use from many threads at once."""

    def begin(self, request: Request) -> Generation:
        """Queue the request; its text, and what goes wrong later, is read from the generation.

        Raises:
            ModelUnavailable: no model, or it is not loaded.
            ContextTooLong: the prompt does not fit, even without its older rounds.
            InvalidRequest: the model's template refuses these messages.
            Overloaded: the queue is full.
        """

    def card(self) -> ModelCard:
        """The model that answers now. Raises ModelUnavailable or DependencyDown when there is none: `/readyz`."""

    def count(self, prompt: Prompt) -> int:
        """Tokens of `prompt` as the model would read it, nothing left out. Raises as `begin`."""

    def score(self, prompts: Sequence[Prompt], following: Sequence[str], request: Request) -> list[list[float]]:
        """For each prompt the natural log-probability of each of `following`, each one token, to come next.

        `request` gives the deadline and the client; its prompt is not looked at. Raises as `begin` and as Generation,
        and InvalidRequest when a text is no single token or the engine can not score.
        """

    def load(self) -> Load:
        """How much there is to do."""

    def close(self) -> None:
        """End what runs and free the model. The engine can not be used afterwards."""
