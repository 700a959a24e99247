"""The keys and values of some rows, as transformers' models read and write them.

Rows are aligned at their newest token: all of them end at the same slot, shorter ones begin later, and the slots before
a row's first token are padding that the attention mask hides. So each step writes one slot for all rows at once, what
the model reads is a view, never a copy, and a row that leaves is replaced by the last one. Several prompts that are
read in one pass lie in the same way.

      slot   0 1 2 3 4 5 6 7 8 | free
      row 0  . . a b c d e f g |        length 7
      row 1  . . . . . x y z u |        length 4
                 start      end
"""

from collections.abc import Sequence
from typing import Any, NamedTuple

import torch
from transformers.cache_utils import Cache, CacheLayerMixin, DummyLayer, get_layer_types_and_kwargs

from service_kit.errors import ModelUnavailable

ROOM = 128
"""Slots that a block gets beyond what it needs, so that it is moved only every so many steps."""

_ATTENTION = {"full_attention", "sliding_attention", "chunked_attention"}


class KeysValues(NamedTuple):
    """One layer's keys and values, each (rows, heads, tokens, head_dim)."""

    keys: torch.Tensor
    values: torch.Tensor


RowStates = list[KeysValues]
"""One row's tokens: a (1, heads, tokens, head_dim) pair for each layer that stores any; `[]` for no tokens."""


class LayerPlan(NamedTuple):
    """What one layer keeps: `stores` nothing where it reads another layer's keys; `window` None sees everything."""

    stores: bool
    window: int | None


def plan_layers(config: Any) -> list[LayerPlan]:
    """One plan for each layer of the model that `config` describes.

    Raises:
        ModelUnavailable: layers that are no attention over keys and values (Mamba and its like) can not be batched so.
    """
    types, kwargs = get_layer_types_and_kwargs(config.get_text_config(decoder=True))
    if odd := sorted(set(types) - _ATTENTION - {"dummy"}):
        raise ModelUnavailable(
            f"YIJU_ENGINE=batch 不支持含 {'、'.join(odd)} 层的模型，请用 YIJU_ENGINE=serial",
            f"YIJU_ENGINE=batch can not run layers of type {', '.join(odd)}; use YIJU_ENGINE=serial",
        )
    return [
        LayerPlan(kind != "dummy", options.get("sliding_window")) for kind, options in zip(types, kwargs, strict=True)
    ]


class Extent:
    """Which slots are in use; the same for all layers of a block."""

    def __init__(self, slots: int) -> None:
        self.slots = slots
        self.capacity = 1
        """Rows there is memory for."""
        self.lengths: list[int] = []
        self.start = self.end = 0

    @property
    def rows(self) -> int:
        return len(self.lengths)

    @property
    def span(self) -> int:
        """Tokens of the longest row."""
        return self.end - self.start

    def fit_start(self) -> None:
        """After rows came or went."""
        self.start = self.end - max(self.lengths, default=0)


class KvLayer(CacheLayerMixin):
    """One layer's part of a block: `keys` and `values` are (capacity, heads, slots, head_dim)."""

    # Says to transformers: do not leave out the mask of a step, even if it hides nothing. Without one, grouped queries
    # take a way that is five times slower on the CPU in bf16.
    is_compileable = True

    keys: torch.Tensor  # there from the first `put` or `update` on
    values: torch.Tensor

    def __init__(self, extent: Extent, window: int | None) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.is_sliding = window is not None
        self._extent = extent
        self._window = window

    def lazy_initialization(self, key_states: torch.Tensor, value_states: torch.Tensor) -> None:
        extent = self._extent
        self.keys, self.values = (_zeros(one, extent.capacity, extent.slots) for one in (key_states, value_states))
        self.is_initialized = True

    def update(
        self, key_states: torch.Tensor, value_states: torch.Tensor, *args: Any, **kwargs: Any
    ) -> tuple[torch.Tensor, torch.Tensor]:
        """Write the new tokens of all rows, (rows, heads, tokens, head_dim), and show all that a query may see."""
        if not self.is_initialized:
            self.lazy_initialization(key_states, value_states)
        extent = self._extent
        rows, end = extent.rows, extent.end + key_states.shape[-2]
        self.keys[:rows, :, extent.end : end] = key_states
        self.values[:rows, :, extent.end : end] = value_states
        first = self._first_seen()
        return self.keys[:rows, :, first:end], self.values[:rows, :, first:end]

    def get_mask_sizes(self, query_length: int) -> tuple[int, int]:
        first = self._first_seen()
        return self._extent.end + query_length - first, first - self._extent.start

    def get_seq_length(self) -> int:
        return self._extent.span

    def get_max_length(self) -> int:
        return -1

    def put(self, row: int, end: int, source: KeysValues) -> None:
        """`source`, (1, heads, tokens, head_dim), becomes a row's newest tokens, and what is before it padding."""
        if not self.is_initialized:
            self.lazy_initialization(*source)
        for mine, new in zip((self.keys, self.values), source, strict=True):
            begin = end - new.shape[-2]
            mine[row, :, :begin] = 0
            mine[row, :, begin:end] = new[0]

    def moved(self, capacity: int, slots: int, end: int) -> KeysValues:
        """All rows in new memory, ending at slot `end`."""
        return KeysValues(*(self._moved(states, capacity, slots, end) for states in (self.keys, self.values)))

    def _moved(self, states: torch.Tensor, capacity: int, slots: int, end: int) -> torch.Tensor:
        old = self._extent
        new = _zeros(states, capacity, slots)
        new[: old.rows, :, end - old.span : end] = states[: old.rows, :, old.start : old.end]
        return new

    def replace(self, row: int, by: int) -> None:
        end = self._extent.end
        self.keys[row, :, :end] = self.keys[by, :, :end]
        self.values[row, :, :end] = self.values[by, :, :end]

    def _first_seen(self) -> int:
        """The first slot that the oldest of the new tokens may look at."""
        start, end = self._extent.start, self._extent.end
        return start if self._window is None else max(start, end - self._window + 1)


def _zeros(states: torch.Tensor, capacity: int, slots: int) -> torch.Tensor:
    # Zeros: what is masked must still be finite, for 0 times NaN is NaN.
    _, heads, _, head_dim = states.shape
    return states.new_zeros((capacity, heads, slots, head_dim))


def _tokens(states: RowStates) -> int:
    return states[0].keys.shape[-2] if states else 0


class KvBlock(Cache):
    """Rows that share their forward passes. Between `make_room` and `advance` the model writes what is new."""

    def __init__(self, plans: Sequence[LayerPlan], slots: int) -> None:
        self.extent = Extent(slots)
        self._plans = plans
        super().__init__(
            layers=[KvLayer(self.extent, plan.window) if plan.stores else DummyLayer() for plan in plans],
        )

    @property
    def stored(self) -> list[KvLayer]:
        """The layers that keep anything."""
        return [layer for layer in self.layers if isinstance(layer, KvLayer)]

    def begin(self, *known: RowStates) -> None:
        """The first rows of an empty block, each with the tokens that it has already; `[]` for none."""
        extent = self.extent
        extent.lengths = [_tokens(states) for states in known]
        extent.capacity, extent.end = len(known), max(extent.lengths)
        extent.slots = max(extent.slots, extent.end)
        self._put(0, known)
        extent.fit_start()

    def make_room(self, tokens: int, most: int) -> None:
        """Let `tokens` more slots follow; a block that has to be moved gets at most `most` slots if that is enough."""
        needed = self.extent.span + tokens
        if self.extent.end + tokens > self.extent.slots:
            self._move(self.extent.rows, max(needed, min(needed + ROOM, most)), self.extent.span)

    def advance(self, new: Sequence[int]) -> None:
        """The model has written so many tokens for each row, for all rows as many slots as for the longest."""
        self.extent.end += max(new)
        self.extent.lengths = [length + tokens for length, tokens in zip(self.extent.lengths, new, strict=True)]
        self.extent.fit_start()

    def join(self, sources: Sequence[RowStates], most: int, expected: int = 0) -> None:
        """`sources` become the last rows, all or (no memory) none; for `most` see `make_room`.

        Args:
            expected: how many more rows are about to join; if the block has to be moved it gets memory for them, too.
        """
        extent, lengths = self.extent, [_tokens(states) for states in sources]
        rows, longest = extent.rows + len(sources), max(lengths)
        if not extent.rows:
            extent.end = extent.start = 0
        if rows > extent.capacity or longest > extent.end:
            end = max(extent.span, longest)
            self._move(rows + expected, max(end + 1, min(end + ROOM, most)), end)
        self._put(extent.rows, sources)
        extent.lengths += lengths
        extent.fit_start()

    def leave(self, row: int) -> None:
        """Take a row out; the last one gets its number."""
        last = self.extent.rows - 1
        if row != last:
            for layer in self.stored:
                layer.replace(row, by=last)
            self.extent.lengths[row] = self.extent.lengths[last]
        self.extent.lengths.pop()
        self.extent.fit_start()

    def row(self, row: int) -> RowStates:
        """Views of what a row holds."""
        end = self.extent.end
        begin = end - self.extent.lengths[row]
        return [
            KeysValues(layer.keys[row : row + 1, :, begin:end], layer.values[row : row + 1, :, begin:end])
            for layer in self.stored
        ]

    def _put(self, first: int, sources: Sequence[RowStates]) -> None:
        for row, states in enumerate(sources, first):
            for layer, pair in zip(self.stored if states else [], states, strict=True):
                layer.put(row, self.extent.end, pair)

    def _move(self, rows: int, slots: int, end: int) -> None:
        # Rows in fours above two: joining one by one shall not move the block each time.
        capacity = rows if rows <= 2 else -(-rows // 4) * 4
        # All layers or none: memory may run out on the way, and the rows have to stay whole.
        filled = [layer for layer in self.stored if layer.is_initialized]
        moved = [layer.moved(capacity, slots, end) for layer in filled]
        for layer, (keys, values) in zip(filled, moved, strict=True):
            layer.keys, layer.values = keys, values
        self.extent.capacity, self.extent.slots, self.extent.end = capacity, slots, end
        self.extent.fit_start()
