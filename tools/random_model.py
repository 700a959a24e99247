"""A Baichuan2 of any size with random weights, straight into the memory of a device: nothing is downloaded or saved.

Imports torch, and bitsandbytes for 8bit and 4bit.
"""

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
        model = BaichuanForCausalLM(config)
    for module in list(model.modules()):
        for name, child in list(module.named_children()):
            if precision in ("8bit", "4bit") and isinstance(child, nn.Linear) and not isinstance(child, NormHead):
                setattr(module, name, _quantized(drawn(child.weight.shape), precision, device))
            elif isinstance(getattr(child, "weight", None), nn.Parameter):
                shape = child.weight.shape
                # On a copy: the next layer of this shape begins from the same numbers.
                weight = torch.ones(shape, dtype=dtype) if len(shape) == 1 else drawn(shape).clone()
                child.weight = nn.Parameter(weight.to(device), requires_grad=False)
    model.lm_head.normalise()
    return model.eval()


def _quantized(weight: torch.Tensor, precision: str, device: str) -> nn.Module:
    """As loading with YIJU_PRECISION quantizes it."""
    from bitsandbytes.nn import Int8Params, Linear4bit, Linear8bitLt, Params4bit  # noqa: PLC0415

    rows, columns = weight.shape
    linear: Any
    if precision == "8bit":
        linear = Linear8bitLt(columns, rows, bias=False, has_fp16_weights=False, threshold=6.0, device="meta")
        linear.weight = Int8Params(weight, requires_grad=False, has_fp16_weights=False).to(device)
    else:
        linear = Linear4bit(columns, rows, bias=False, compute_dtype=weight.dtype, quant_type="nf4", device="meta")
        linear.weight = Params4bit(weight, requires_grad=False, quant_type="nf4").to(device)
    return linear  # type: ignore[no-any-return]
