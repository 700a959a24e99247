"""One request on its way through the engine: waiting, prefilling, running, gone."""

from dataclasses import dataclass, field
from typing import Any

from llm_server.model.answer import Answer
from llm_server.model.sampling import Choice
from service_kit.generation import Generation


@dataclass(eq=False)
class Sequence:
    """Token ids and where their keys and values are."""

    prompt_ids: list[int]
    choice: Choice
    generation: Generation
    answer: Answer | None
    """None: nothing is generated, only `next_ids` are scored."""
    request_id: str
    next_ids: tuple[int, ...] = ()
    log_probs: list[float] = field(default_factory=list)
    """Of `next_ids`, after the prompt was read."""

    ids: list[int] = field(init=False)
    """The prompt and what was made."""
    computed: int = 0
    """How many of `ids` have keys and values."""
    foreseen: int | None = None
    """How many tokens of the prompt are known from others, as far as was looked up; until it is begun."""
    block: Any = None
    """Its own KvBlock while the prompt is read in several chunks."""
    chooser: Any = None
    """The sampler's memory for it: a random generator, the penalised tokens."""
    alone: bool = False
    """Never to share a forward pass again: one that it was part of has failed."""

    def __post_init__(self) -> None:
        self.ids = list(self.prompt_ids)

    @property
    def prompt_left(self) -> int:
        """Tokens of the prompt that have not been read and need to be."""
        return len(self.prompt_ids) - (self.computed or self.foreseen or 0)

    @property
    def final_length(self) -> int:
        """Tokens whose keys and values it needs at most."""
        return len(self.prompt_ids) + (self.choice.max_tokens if self.answer else 0)
