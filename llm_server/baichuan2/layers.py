"""The parts of a Baichuan2 layer: norm, feed-forward, attention."""

from typing import Any

import torch
from torch import nn
from torch.nn import functional
from transformers import Cache
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from llm_server.baichuan2.alibi import Alibi
from llm_server.baichuan2.config import BaichuanConfig
from llm_server.baichuan2.rope import Rotation


class RMSNorm(nn.Module):
    """x / sqrt(mean(x^2) + eps) * weight over the last dimension; all but the last product in fp32."""

    def __init__(self, size: int, eps: float) -> None:
        super().__init__()
        self.weight = nn.Parameter(torch.ones(size))
        self.eps = eps

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        wide = states.float()
        wide = wide * torch.rsqrt(wide.pow(2).mean(-1, keepdim=True) + self.eps)
        return self.weight * wide.to(self.weight.dtype)


class FeedForward(nn.Module):
    """down(silu(gate(x)) * up(x))."""

    def __init__(self, config: BaichuanConfig) -> None:
        super().__init__()
        self.gate_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.up_proj = nn.Linear(config.hidden_size, config.intermediate_size, bias=False)
        self.down_proj = nn.Linear(config.intermediate_size, config.hidden_size, bias=False)

    def forward(self, states: torch.Tensor) -> torch.Tensor:
        product: torch.Tensor = self.down_proj(functional.silu(self.gate_proj(states)) * self.up_proj(states))
        return product


class Attention(nn.Module):
    """As many key heads as query heads. Which kernel computes it is transformers' attention interface's choice."""

    is_causal = True

    def __init__(self, config: BaichuanConfig, layer_idx: int) -> None:
        super().__init__()
        self.config = config
        self.layer_idx = layer_idx
        self.scaling = config.head_dim**-0.5
        # Rows: all heads' queries, then all keys, then all values.
        self.W_pack = nn.Linear(config.hidden_size, 3 * config.hidden_size, bias=False)
        self.o_proj = nn.Linear(config.hidden_size, config.hidden_size, bias=False)

    def forward(
        self,
        states: torch.Tensor,
        past_key_values: Cache | None,
        position: "Alibi | Rotation",
        mask: torch.Tensor | None,
    ) -> torch.Tensor:
        """`states` (batch, queries, hidden); `mask` is the 7B's, the 13B's is in its biases."""
        batch, queries, _ = states.shape
        packed = self.W_pack(states).view(batch, queries, 3, self.config.num_attention_heads, self.config.head_dim)
        query, key, value = packed.permute(2, 0, 3, 1, 4)
        if isinstance(position, Rotation):
            query, key = position.turn(query), position.turn(key)
        if past_key_values is not None:
            key, value = past_key_values.update(key, value, self.layer_idx)
        if isinstance(position, Rotation):
            mixed = self._attend(query, key, value, mask)
        else:
            parts = [
                self._attend(query[:, :, some], key[:, :, seen], value[:, :, seen], position.bias(some))
                for some, seen in position.blocks()
            ]
            mixed = parts[0] if len(parts) == 1 else torch.cat(parts, dim=1)
        output: torch.Tensor = self.o_proj(mixed.reshape(batch, queries, -1))
        return output

    def _attend(
        self, query: torch.Tensor, key: torch.Tensor, value: torch.Tensor, mask: torch.Tensor | None
    ) -> torch.Tensor:
        """(batch, queries, heads, head_dim)."""
        name = self.config._attn_implementation
        attend: Any = ALL_ATTENTION_FUNCTIONS.get_interface(name, sdpa_attention_forward)
        mixed: torch.Tensor = attend(self, query, key, value, mask, scaling=self.scaling)[0]
        return mixed


class Layer(nn.Module):
    """x += attention(norm(x)); x += feed_forward(norm(x))."""

    def __init__(self, config: BaichuanConfig, layer_idx: int) -> None:
        super().__init__()
        self.input_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.self_attn = Attention(config, layer_idx)
        self.post_attention_layernorm = RMSNorm(config.hidden_size, config.rms_norm_eps)
        self.mlp = FeedForward(config)

    def forward(
        self,
        states: torch.Tensor,
        past_key_values: Cache | None,
        position: "Alibi | Rotation",
        mask: torch.Tensor | None,
    ) -> torch.Tensor:
        states = states + self.self_attn(self.input_layernorm(states), past_key_values, position, mask)
        fed: torch.Tensor = states + self.mlp(self.post_attention_layernorm(states))
        return fed
