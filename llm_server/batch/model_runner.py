"""One forward pass of any causal language model, through what all of them take."""

import inspect
from collections.abc import Sequence
from typing import Any

import torch

from llm_server.batch.kv_cache import KvBlock, plan_layers


class ModelRunner:
    """Raises ModelUnavailable for a model that can not be batched."""

    def __init__(self, model: Any) -> None:
        self.device: torch.device = model.device
        self.plans = plan_layers(model.config)
        self._model = model
        # ALiBi models count positions by the mask and take no position_ids.
        taken = inspect.signature(model.forward).parameters
        self._takes_positions = "position_ids" in taken
        self._takes_logits_to_keep = "logits_to_keep" in taken

    def new_block(self, slots: int) -> KvBlock:
        """An empty block with memory for `slots` tokens of one row."""
        return KvBlock(self.plans, slots)

    def forward(self, ids: Sequence[Sequence[int]], block: KvBlock, most: int) -> torch.Tensor:
        """Read the next tokens of each row and keep their keys and values in `block`.

        Args:
            ids: one list a row. A list shorter than the longest is padded in front, so there must be nothing before it:
                its row has no tokens in `block` yet.
            most: slots that the block may grow to; see `KvBlock.make_room`.

        Returns:
            (rows, vocabulary) in float32: what may follow the last token.

        Raises:
            Exception: whatever the model raises; the block is then as it was.
        """
        new = [len(row) for row in ids]
        tokens = max(new)
        block.make_room(tokens, most)
        lengths = (torch.tensor(block.extent.lengths) + torch.tensor(new))[:, None]
        width = block.extent.span + tokens
        mask = torch.arange(width) >= width - lengths
        options: dict[str, Any] = {}
        if self._takes_positions:
            options["position_ids"] = (lengths - tokens + torch.arange(tokens)).clamp(min=0).to(self.device)
        if self._takes_logits_to_keep:
            options["logits_to_keep"] = 1
        output = self._model(
            input_ids=torch.tensor([[0] * (tokens - len(row)) + list(row) for row in ids], device=self.device),
            attention_mask=mask.long().to(self.device),
            past_key_values=block,
            use_cache=True,
            **options,
        )
        block.advance(new)
        logits: torch.Tensor = output.logits[:, -1]
        return logits.float()

    def kv_bytes_per_token(self) -> int:
        """Measured by reading one token."""
        block = self.new_block(1)
        block.begin([])
        with torch.inference_mode():
            self.forward([[0]], block, 1)
        return sum(states.nbytes for pair in block.row(0) for states in pair)

    def weight_bytes(self) -> int:
        return sum(parameter.nbytes for parameter in self._model.parameters())
