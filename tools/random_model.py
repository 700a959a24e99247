"""A Baichuan2 of any size with random weights, straight into the memory of a device: nothing is downloaded or saved.

Imports torch, and bitsandbytes for 8bit and 4bit.
"""

import importlib
from functools import cache
from typing import Any

import torch
from torch import nn

from llm_server.baichuan2 import BaichuanConfig, BaichuanForCausalLM
from llm_server.baichuan2.norm_head import NormHead

FULL = BaichuanConfig()
"""The 13B."""
REDUCED = BaichuanConfig(
    vocab_size=1024, hidden_size=128, intermediate_size=256, num_hidden_layers=2, num_attention_heads=4
)
"""Small enough for any CPU."""
STD = 0.02


def make_random_model(config: BaichuanConfig, precision: str, device: str, seed: int = 0) -> Any:
    """`precision` is fp32, fp16, bf16, 8bit or 4bit; what is not quantized is fp16 beside 8bit and 4bit.

    Layers of one shape share their random numbers, not their memory: so much chance would take minutes to draw.
    """
    dtype = {"fp32": torch.float32, "bf16": torch.bfloat16}.get(precision, torch.float16)
    generator = torch.Generator().manual_seed(seed)

    @cache
    def drawn(shape: torch.Size) -> torch.Tensor:
        return (torch.randn(shape, generator=generator) * STD).to(dtype)

    with torch.device("meta"):
        model: Any = BaichuanForCausalLM(config)
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            weight: Any = getattr(child, "weight", None)
            if weight is None:
                continue
            if precision in ("8bit", "4bit") and isinstance(child, nn.Linear) and not isinstance(child, NormHead):
                setattr(module, name, _quantized(drawn(weight.shape), precision, device))
                continue
            # A norm's are ones. A copy of the others: the next layer of this shape begins from the same numbers.
            numbers = torch.ones(weight.shape, dtype=dtype) if weight.dim() == 1 else drawn(weight.shape).clone()
            child.weight = nn.Parameter(numbers.to(device), requires_grad=False)
    model.lm_head.normalise()
    return model.eval()


def _quantized(weight: torch.Tensor, precision: str, device: str) -> nn.Module:
    """As loading with YIJU_PRECISION quantizes it."""
    bnb: Any = importlib.import_module("bitsandbytes.nn")
    rows, columns = weight.shape
    linear: nn.Module
    if precision == "8bit":
        linear = bnb.Linear8bitLt(columns, rows, bias=False, has_fp16_weights=False, threshold=6.0, device="meta")
        linear.weight = bnb.Int8Params(weight, requires_grad=False, has_fp16_weights=False).to(device)
    else:
        linear = bnb.Linear4bit(columns, rows, bias=False, compute_dtype=weight.dtype, quant_type="nf4", device="meta")
        linear.weight = bnb.Params4bit(weight, requires_grad=False, quant_type="nf4").to(device)
    return linear
