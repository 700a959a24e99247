"""How fast a model in memory reads and writes. Knows nothing of services, text or sampling. Imports torch."""

import time
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import torch
from transformers import DynamicCache


@dataclass(frozen=True)
class Answering:
    """`clients` prompts answered together: seconds until all have their first token, and until all have their last."""

    clients: int
    prompt_tokens: int
    new_tokens: int
    first_s: float
    total_s: float

    @property
    def prefill_per_s(self) -> float:
        """Prompt tokens a second, all clients together."""
        return self.clients * self.prompt_tokens / self.first_s

    @property
    def decode_per_s(self) -> float:
        """New tokens a second after the first, all clients together."""
        return self.clients * (self.new_tokens - 1) / (self.total_s - self.first_s)


@torch.inference_mode()
def time_answers(model: Any, clients: int, prompt_tokens: int, new_tokens: int) -> Answering:
    """Greedy answers to random prompts, in one batch, one token each a step.

    The prompts are of different lengths, padded on the left to `prompt_tokens`, as in a service.
    """
    device = model.device
    lengths = [prompt_tokens - n * prompt_tokens // (4 * clients) for n in range(clients)]
    ids = torch.randint(3, model.config.vocab_size, (clients, prompt_tokens), device=device)
    mask = torch.tensor([[int(at >= prompt_tokens - n) for at in range(prompt_tokens)] for n in lengths], device=device)
    cache = DynamicCache(config=model.config)
    began = _now(device)
    step = ids
    first = began
    for n in range(new_tokens):
        logits = model(step, attention_mask=mask, past_key_values=cache, logits_to_keep=1).logits
        step = logits[:, -1].argmax(-1, keepdim=True)
        mask = torch.cat([mask, mask.new_ones(clients, 1)], dim=1)
        if n == 0:
            first = _now(device)
    return Answering(clients, prompt_tokens, new_tokens, first - began, _now(device) - began)


def best_of(model: Any, clients: Sequence[int], prompt_tokens: int, new_tokens: int, rounds: int) -> list[Answering]:
    """For each number of clients the quickest of `rounds`, after one that does not count."""
    time_answers(model, clients[0], prompt_tokens, 2)
    return [
        min((time_answers(model, n, prompt_tokens, new_tokens) for _ in range(rounds)), key=lambda run: run.total_s)
        for n in clients
    ]


def _now(device: torch.device) -> float:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
    return time.perf_counter()
