"""xformers' memory-efficient attention as one of transformers' attention functions (`YIJU_ATTENTION=xformers`).

For NVIDIA cards only. Imports torch; xformers itself when the first layer runs.
"""

from typing import Any

import torch
from transformers import AttentionInterface
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask

NAME = "xformers"
ALIGNMENT = 8
"""The kernels read rows of biases that begin at multiples of so many elements."""


def register() -> None:
    """Make `attn_implementation="xformers"` known to transformers."""
    AttentionInterface.register(NAME, attend)
    AttentionMaskInterface.register(NAME, sdpa_mask)


def attend(
    module: Any,
    query: torch.Tensor,
    key: torch.Tensor,
    value: torch.Tensor,
    attention_mask: torch.Tensor | None,
    *,
    scaling: float | None = None,
    **_: Any,
) -> tuple[torch.Tensor, None]:
    """`query` (batch, heads, queries, head_dim), `key` and `value` with as many heads or fewer; no mask is causal.

    Returns (batch, queries, heads, head_dim).
    """
    from xformers.ops import LowerTriangularMask, memory_efficient_attention  # noqa: PLC0415

    groups = query.shape[1] // key.shape[1]
    if groups > 1:
        key, value = (states.repeat_interleave(groups, dim=1) for states in (key, value))
    bias: Any = None
    queries = query.shape[2]
    if attention_mask is not None:
        bias = aligned_bias(attention_mask, query, key.shape[2])
    elif queries > 1:
        # As in transformers: without a mask, slots after the queries are the unused ones of a static cache.
        key, value, bias = key[:, :, :queries], value[:, :, :queries], LowerTriangularMask()
    mixed: torch.Tensor = memory_efficient_attention(
        query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2), attn_bias=bias, scale=scaling
    )
    return mixed, None


def aligned_bias(mask: torch.Tensor, query: torch.Tensor, slots: int) -> torch.Tensor:
    """`mask` (batch or 1, heads or 1, queries, >= slots), boolean or additive, as (batch, heads, queries, slots)."""
    mask = mask[..., :slots]
    room = -(-slots // ALIGNMENT) * ALIGNMENT
    wide = query.new_zeros(*mask.shape[:-1], room)
    bias = wide[..., :slots]
    if mask.dtype == torch.bool:
        bias.masked_fill_(~mask, torch.finfo(query.dtype).min)
    else:
        bias.copy_(mask)
    return bias.expand(query.shape[0], query.shape[1], query.shape[2], slots)
