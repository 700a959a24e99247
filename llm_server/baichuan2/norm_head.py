"""Baichuan2's output layer: logits are projections on the rows of lm_head.weight brought to length 1."""

from typing import Any

import torch
from torch import nn
from torch.nn import functional

SHORTEST = 1e-12
"""A row of zeros stays one."""
IS_ONE = 1e-6
"""Lengths this near to 1 are left alone, so that normalising what is normalised changes no bit."""
ROWS_AT_ONCE = 8192


class NormHead(nn.Linear):
    """(…, hidden) -> (…, vocabulary). No bias, no temperature.

    The checkpoint's rows are not normalised. `normalise` does it once, in place, after loading; until then, and while
    training, each forward does it on the fly.
    """

    def __init__(self, hidden: int, vocabulary: int) -> None:
        super().__init__(hidden, vocabulary, bias=False)
        self._is_normal = False

    @torch.no_grad()
    def normalise(self) -> None:
        """Do nothing the second time, nor to weights that are not in memory."""
        if self._is_normal or self.weight.is_meta:
            return
        for rows in torch.split(self.weight, ROWS_AT_ONCE):  # a copy of all in fp32 would be 2.6 GB
            rows.copy_(_normal(rows))
        self._is_normal = True

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        ready = self._is_normal and not self.training
        return functional.linear(states, self.weight if ready else _normal(self.weight))

    def _load_from_state_dict(self, *args: Any, **kwargs: Any) -> None:
        self._is_normal = False
        super()._load_from_state_dict(*args, **kwargs)


def _normal(rows: torch.Tensor) -> torch.Tensor:
    wide = rows.float()
    lengths = wide.norm(dim=1, keepdim=True).clamp(min=SHORTEST)
    lengths = torch.where((lengths - 1).abs() <= IS_ONE, 1.0, lengths)
    return (wide / lengths).to(rows.dtype)
