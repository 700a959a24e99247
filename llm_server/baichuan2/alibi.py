"""Positions of the 13B: a bias on each attention score that grows with the distance (ALiBi).

Press, Smith, Lewis, "Train Short, Test Long: Attention with Linear Biases Enables Input Length Extrapolation", 2022.
"""

from collections.abc import Iterator
from functools import cache

import torch

BLOCK_ELEMENTS = 2**26
"""Most elements of one block of biases: 256 MiB while it is computed in fp32. Longer prompts take several blocks."""
KEPT_ELEMENTS = 2**28
"""Blocks are kept from layer to layer while all of them have at most so many elements: 512 MiB in half precision."""


def slopes(heads: int) -> list[float]:
    """The factor of each head, for any number of heads.

    With p the largest power of two <= heads: 2^(-8(k+1)/p) for k in 0..p-1, then 2^(-4(2k+1)/p) for k in 0..heads-p-1
    (the paper's rule for 2p heads, every other one).
    """
    p = 1 << (heads.bit_length() - 1)
    first = [2.0 ** (-8 * (k + 1) / p) for k in range(p)]
    return first + [2.0 ** (-4 * (2 * k + 1) / p) for k in range(heads - p)]


@cache
def _slopes_on(heads: int, device: torch.device) -> torch.Tensor:
    return torch.tensor(slopes(heads), dtype=torch.float32, device=device).view(1, heads, 1, 1)


def _real_slots(attention_mask: torch.Tensor) -> torch.Tensor:
    """(batch, slots), without the order of time, which the newest token does not feel."""
    if attention_mask.dim() == 2:
        return attention_mask.bool()
    newest = attention_mask[:, 0, -1]
    return newest if newest.dtype == torch.bool else newest == 0


class Alibi:
    """The biases of one forward pass, which all layers share.

    A bias is slope * (key's position - query's position), never slope * key's position as in the published code: that
    is equal under softmax, but in half precision at position 2000 it is off by whole units.

    A token's position is the number of real tokens of its row before it, so padding on the left, on the right or
    between a prompt and its answer moves nothing.
    """

    def __init__(
        self,
        heads: int,
        queries: int,
        past: int,
        attention_mask: torch.Tensor | None,
        *,
        dtype: torch.dtype,
        device: torch.device,
    ) -> None:
        """`queries` new tokens after `past` cached slots; `attention_mask` (batch, past + queries), 0 for padding, or
        the 4-dimensional one that transformers makes of it.

        Raises:
            ValueError: the mask has another shape.
        """
        slots = past + queries
        self._dtype, self._device = dtype, device
        self._slopes = _slopes_on(heads, device)
        self._queries, self._past = queries, past
        self._real: torch.Tensor | None = None
        self._positions = torch.arange(slots, dtype=torch.float32, device=device).unsqueeze(0)
        if attention_mask is not None:
            if attention_mask.dim() not in (2, 4) or attention_mask.shape[-1] < slots:
                raise ValueError(f"attention_mask is {tuple(attention_mask.shape)}, not (batch, {slots})")
            real = _real_slots(attention_mask)[:, :slots].to(device)
            if not real.all():  # without padding one row of biases serves the whole batch
                self._real = real
                self._positions = (real.cumsum(1) - 1).float()
        row = self._positions.shape[0] * heads * slots
        self._block = max(1, min(BLOCK_ELEMENTS // row, queries))
        self._keeps = row * queries <= KEPT_ELEMENTS
        self._kept: dict[int, torch.Tensor] = {}

    def blocks(self) -> Iterator[tuple[slice, slice]]:
        """Which queries to take together, and the cached slots that they can see."""
        for start in range(0, self._queries, self._block):
            stop = min(start + self._block, self._queries)
            yield slice(start, stop), slice(0, self._past + stop)

    def bias(self, queries: slice) -> torch.Tensor:
        """(batch or 1, heads, queries, slots that they can see), to be added to the scaled scores."""
        if not self._keeps:
            return self._make(queries)
        if queries.start not in self._kept:
            self._kept[queries.start] = self._make(queries)
        return self._kept[queries.start]

    def _make(self, queries: slice) -> torch.Tensor:
        first, end = self._past + queries.start, self._past + queries.stop
        distance = self._positions[:, None, :end] - self._positions[:, first:end, None]
        lowest = torch.finfo(self._dtype).min
        bias = (self._slopes * distance[:, None]).clamp_(min=lowest).to(self._dtype)
        # The lowest number and not -inf: a row of padding, which sees nothing, must not become NaN in any kernel.
        if end - first > 1:
            slot = torch.arange(end, device=self._device)
            bias.masked_fill_(slot[None, :] > slot[first:, None], lowest)
        if self._real is not None:
            bias.masked_fill_(~self._real[:, None, None, :end], lowest)
        return bias
