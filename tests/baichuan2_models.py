"""Tiny Baichuan2 models in memory, and what the slow reference makes of the same weights. Imports torch."""

import json
from pathlib import Path
from typing import Any

import torch

from tests import baichuan2_reference as reference
from tests.baichuan2_fixtures import VOCABULARY

ATOL = 5e-5


def load(folder: Path, **options: Any) -> Any:
    from transformers import AutoModelForCausalLM

    import llm_server.baichuan2  # noqa: F401

    return AutoModelForCausalLM.from_pretrained(folder, **{"dtype": torch.float32, **options})


def some_ids(length: int, seed: int = 1) -> Any:
    return torch.randint(3, VOCABULARY, (1, length), generator=torch.Generator().manual_seed(seed))


def expected(folder: Path, ids: Any) -> Any:
    config = json.loads((folder / "config.json").read_text())
    weights = torch.load(folder / "pytorch_model.bin", weights_only=True)
    found = reference.logits(config, {name: weight.numpy() for name, weight in weights.items()}, ids[0].tolist())
    return torch.tensor(found, dtype=torch.float32)


def difference(a: Any, b: Any) -> float:
    return float((a - b).abs().max())
