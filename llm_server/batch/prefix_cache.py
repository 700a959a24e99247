"""Keys and values of what was read before, for prompts that begin the same way.

An entry is the whole of a prompt, or of a prompt and its answer; a new prompt takes over the longest beginning that it
shares with any entry. So the next turn of a session finds all earlier ones, and a new session the system text.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch

from llm_server.batch.kv_cache import KeysValues, RowStates

SHORTEST = 16
"""Tokens below which a prefix is not worth the copying."""


@dataclass(frozen=True, eq=False)
class _Entry:
    ids: torch.Tensor
    layers: RowStates


class PrefixCache:
    """At most `budget` tokens; those that were of no use for the longest time go first."""

    def __init__(self, budget: int) -> None:
        self.hits = self.lookups = self.tokens_reused = 0
        self._budget = budget
        self._entries: list[_Entry] = []
        """The one used last is last."""

    @property
    def tokens(self) -> int:
        return sum(len(entry.ids) for entry in self._entries)

    def foresee(self, ids: Sequence[int]) -> int:
        """How many tokens `find` would give now."""
        return self._longest(ids)[1]

    def find(self, ids: Sequence[int], to_read: int = 1) -> RowStates:
        """Views of the longest known beginning of `ids`, `[]` if there is none.

        Args:
            to_read: never of so many last tokens, which are going to be read; at least 1.
        """
        if not self._budget:
            return []
        self.lookups += 1
        entry, length = self._longest(ids)
        length = min(length, len(ids) - to_read)
        if entry is None or length <= 0:
            return []
        self._use(entry)
        self.hits += 1
        self.tokens_reused += length
        return [KeysValues(*(states[:, :, :length] for states in layer)) for layer in entry.layers]

    def keep(self, ids: Sequence[int], layers: RowStates, *, copy: bool) -> None:
        """Remember `ids` with their keys and values.

        Args:
            copy: whether the memory of `layers` is going to be written to by others, or shared with them.
        """
        if not SHORTEST <= len(ids) <= self._budget:
            return
        new = torch.tensor(ids)
        for entry in self._entries:
            if _shared(entry.ids, new) == len(new):
                self._use(entry)
                return
        self._entries = [entry for entry in self._entries if _shared(entry.ids, new) < len(entry.ids)]
        while self.tokens + len(new) > self._budget:
            self._entries.pop(0)
        kept = [KeysValues(*(states.clone() for states in layer)) for layer in layers] if copy else layers
        self._entries.append(_Entry(new, kept))

    def _longest(self, ids: Sequence[int]) -> tuple[_Entry | None, int]:
        """The entry that begins most like `ids`, of which the last token does not count, and in how many tokens."""
        wanted = torch.tensor(ids[:-1])
        best = max(self._entries, key=lambda entry: _shared(entry.ids, wanted), default=None)
        length = _shared(best.ids, wanted) if best else 0
        return (best, length) if length >= SHORTEST else (None, 0)

    def _use(self, entry: _Entry) -> None:
        self._entries.remove(entry)
        self._entries.append(entry)


def _shared(one: torch.Tensor, other: torch.Tensor) -> int:
    """Tokens at the beginning that are the same."""
    length = min(len(one), len(other))
    differs = (one[:length] != other[:length]).nonzero()
    return int(differs[0]) if len(differs) else length
