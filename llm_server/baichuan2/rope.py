"""Positions of the 7B: each pair of dimensions of queries and keys is turned by an angle (RoPE).

Su et al., "RoFormer: Enhanced Transformer with Rotary Position Embedding", 2021. The pair of dimension i is
i + head_dim / 2, its angle position * BASE^(-2i / head_dim).
"""

import torch

BASE = 10_000.0


class Rotation:
    """The angles of one forward pass, which all layers share. In fp32: at position 4000, bf16 knows angles to 16."""

    def __init__(self, position_ids: torch.Tensor, head_dim: int) -> None:
        """`position_ids` is (batch or 1, queries)."""
        pairs = torch.arange(0, head_dim, 2, dtype=torch.float32, device=position_ids.device)
        angles = position_ids[..., None].float() * BASE ** (-pairs / head_dim)
        self._cos = angles.cos()[:, None]
        self._sin = angles.sin()[:, None]

    def turn(self, states: torch.Tensor) -> torch.Tensor:
        """`states` (batch, heads, queries, head_dim), turned, in its own dtype."""
        a, b = states.float().chunk(2, dim=-1)
        turned = torch.cat((a * self._cos - b * self._sin, b * self._cos + a * self._sin), dim=-1)
        return turned.to(states.dtype)
