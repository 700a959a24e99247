"""A model in memory. Imports no torch: most of the service only needs to know what is there."""

from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Defaults:
    """What the model's generation_config says for requests that leave it open."""

    temperature: float
    top_p: float
    top_k: int
    repetition_penalty: float
    max_tokens: int | None


@dataclass(frozen=True)
class LoadedModel:
    """A model in memory, ready to generate."""

    name: str
    model: Any
    tokenizer: Any
    max_model_len: int | None
    """Tokens that prompt and answer may have together; None: the model sets no bound."""
    defaults: Defaults
    stop_ids: tuple[int, ...]
    """Token ids that end an answer."""

    @property
    def has_chat_template(self) -> bool:
        return bool(self.tokenizer.chat_template)
