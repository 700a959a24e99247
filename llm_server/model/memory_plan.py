"""Whether a model fits into memory, reckoned from its config before anything is loaded.

Weights: the linear layers that a quantization changes take 1 byte (8bit) or BYTES_4BIT a parameter, all others
the bytes of the dtype. KV cache, bytes per token: 2 (keys and values) * layers * key heads * head size * those bytes.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import psutil
import torch
from torch import nn
from transformers import AutoModelForCausalLM

from service_kit.errors import ModelUnavailable

GIB = 2**30
BYTES_4BIT = 0.5 + 1 / 64 + 4 / (64 * 256)
"""nf4 with nested statistics: half a byte, one byte for 64 parameters, one fp32 for 256 of those bytes."""
CUDA_WORKSPACE = 1 * GIB
"""CUDA's own context, and what one step needs beside weights and cache."""
FRUGAL: Mapping[str, torch.dtype] = {"bf16": torch.bfloat16, "8bit": torch.float16, "4bit": torch.float16}
"""What to suggest, the most exact first, and the dtype of what is not quantized."""


@dataclass(frozen=True)
class MemoryPlan:
    """All in bytes but `tokens`, which is how many the KV cache may hold."""

    precision: str
    weights: int
    kv_per_token: int
    tokens: int
    workspace: int = 0

    @property
    def needed(self) -> int:
        return self.weights + self.kv_per_token * self.tokens + self.workspace

    def figures(self) -> dict[str, Any]:
        """For the log, in GiB and KiB."""
        return {
            "precision": self.precision,
            "weights_gib": round(self.weights / GIB, 2),
            "kv_kib_per_token": round(self.kv_per_token / 1024, 1),
            "kv_tokens": self.tokens,
            "kv_gib": round(self.kv_per_token * self.tokens / GIB, 2),
            "workspace_gib": round(self.workspace / GIB, 2),
            "needed_gib": round(self.needed / GIB, 2),
        }


def plan_memory(config: Any, precision: str, dtype: torch.dtype, tokens: int, *, on_cuda: bool) -> MemoryPlan:
    """The plan for a causal language model of this config; builds its skeleton without memory."""
    with torch.device("meta"):
        model = AutoModelForCausalLM.from_config(config, dtype=dtype)
    head = model.get_output_embeddings()
    linears = [m for m in model.modules() if isinstance(m, nn.Linear) and m is not head]
    quantizable = sum(linear.weight.numel() for linear in linears)
    others = sum(parameter.numel() for parameter in model.parameters()) - quantizable
    each = {"8bit": 1.0, "4bit": BYTES_4BIT}.get(precision, float(dtype.itemsize))
    return MemoryPlan(
        precision=precision,
        weights=round(quantizable * each) + others * dtype.itemsize,
        kv_per_token=_kept_per_token(config.get_text_config()) * dtype.itemsize,
        tokens=tokens,
        workspace=CUDA_WORKSPACE if on_cuda else 0,
    )


def _kept_per_token(config: Any) -> int:
    """Numbers in the KV cache per token; 0 for a model without one, or with one whose size its config does not say."""
    layers, heads = (getattr(config, name, None) for name in ("num_hidden_layers", "num_attention_heads"))
    key_heads = getattr(config, "num_key_value_heads", None) or heads
    if not (isinstance(layers, int) and isinstance(heads, int) and isinstance(key_heads, int)):
        return 0
    head_dim = getattr(config, "head_dim", None) or config.hidden_size // heads
    return 2 * layers * key_heads * int(head_dim)


def free_memory(device: str) -> int | None:
    """Bytes free on the card, or in the machine for the CPU; None where nobody knows."""
    if device.startswith("cuda"):
        return int(torch.cuda.mem_get_info(device)[0])
    return int(psutil.virtual_memory().available) if device == "cpu" else None


def require_memory(config: Any, plan: MemoryPlan, device: str, free: int) -> None:
    """Raises ModelUnavailable, with the numbers and with what would fit, when `plan` needs more than `free`."""
    if plan.needed <= free:
        return
    others = [
        plan_memory(config, name, dtype, plan.tokens, on_cuda=device.startswith("cuda"))
        for name, dtype in FRUGAL.items()
    ]
    need, have = f"{plan.needed / GIB:.1f} GiB", f"{free / GIB:.1f} GiB"
    kv = plan.kv_per_token * plan.tokens / GIB
    fits = next((other for other in others if other.needed <= free and other.weights < plan.weights), None)
    if fits:
        way = (
            f"YIJU_PRECISION={fits.precision}（{fits.needed / GIB:.1f} GiB）",
            f"YIJU_PRECISION={fits.precision} ({fits.needed / GIB:.1f} GiB)",
        )
    else:
        least = f"{min(other.needed for other in others) / GIB:.1f} GiB"
        way = f"换小一些的模型，或空闲显存至少 {least} 的显卡", f"a smaller model, or a card with {least} free"
    raise ModelUnavailable(
        f"{device} 装不下这个模型：{plan.precision} 需要 {need}（权重 {plan.weights / GIB:.1f}，"
        f"{plan.tokens} 个词元的 KV 缓存 {kv:.1f}），空闲 {have}。可行：{way[0]}",
        f"{device} can not hold this model: {plan.precision} needs {need} (weights {plan.weights / GIB:.1f}, "
        f"KV cache of {plan.tokens} tokens {kv:.1f}), {have} are free. What would do: {way[1]}",
        details={"needed_bytes": plan.needed, "free_bytes": free},
    )
