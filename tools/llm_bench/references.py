"""Raw forward passes of the model, without scheduling or HTTP: what the bars are measured against.

The passes go through the engine's own cache, whose ten-row steps are quicker than those of transformers' DynamicCache
(both are stated): a bound from the slower ones would be easier to reach.
"""

import time
from collections.abc import Callable
from typing import NamedTuple

import torch
from transformers import DynamicCache

from llm_server.batch.kv_cache import KvBlock
from llm_server.batch.model_runner import ModelRunner
from llm_server.model.loading import load_model
from service_kit.settings import load_settings

ANSWERED, LONG_ANSWERED = 108, 916
"""Tokens in the middle of an answer to a short and to a RAG-length prompt."""
STEPS = 12


class Cost(NamedTuple):
    """Seconds of one pass, the mean over several: what a stretch of work is made of, disturbances included."""

    wall_s: float
    cpu_s: float
    """Processor time of the thread, which computes alone."""


Costs = dict[str, Cost]


class Measurer:
    """One model in memory, in one precision, on one compute thread."""

    def __init__(self, precision: str, chunk: int) -> None:
        torch.set_num_threads(1)
        self._model = load_model(load_settings(model="smollm2", device="cpu", precision=precision)).model
        self._runner = ModelRunner(self._model)
        self._chunk = chunk

    def short(self) -> Costs:
        """Decode steps of 1, 10 and 32 rows in the middle of short answers."""
        return {f"step_{rows}": self.step(rows, ANSWERED) for rows in (1, 10, 32)}

    @torch.inference_mode()
    def rag(self) -> Costs:
        """The whole of a 900-token prompt in one pass, and a decode step of ten such rows."""
        prefill = mean_cost(lambda: self._read(self._runner.new_block(900), 900), 2)
        return {"prefill_900": prefill, "long_step_10": self.step(10, LONG_ANSWERED)}

    @torch.inference_mode()
    def stall(self) -> Costs:
        """One chunk at the end of a 900-token prompt, and a decode step of one row."""
        block = self._runner.new_block(900)
        self._read(block, 900 - self._chunk)
        chunk = mean_cost(lambda: self._runner.forward([_ids(self._chunk)], block, 900), 1, warm_up=False)
        return {"chunk": chunk, "step_1": self.step(1, ANSWERED)}

    @torch.inference_mode()
    def step(self, rows: int, length: int) -> Cost:
        block = self._runner.new_block(0)
        alone = self._runner.new_block(length)
        self._read(alone, length)
        block.join([alone.row(0)] * rows, length + STEPS + 1)
        return mean_cost(lambda: self._runner.forward([[7]] * rows, block, length + STEPS + 1), STEPS)

    @torch.inference_mode()
    def dynamic_step(self, rows: int) -> Cost:
        """As `step` of short rows, with transformers' DynamicCache."""
        cache = DynamicCache(config=self._model.config)
        ids = torch.tensor([_ids(ANSWERED)] * rows)
        self._model(input_ids=ids, past_key_values=cache, logits_to_keep=1)
        step = ids[:, :1]
        return mean_cost(lambda: self._model(input_ids=step, past_key_values=cache, logits_to_keep=1), STEPS)

    def _read(self, block: KvBlock, tokens: int) -> None:
        block.begin([])
        self._runner.forward([_ids(tokens)], block, tokens)


def mean_cost(run: Callable[[], object], times: int, *, warm_up: bool = True) -> Cost:
    if warm_up:
        run()
    wall, cpu = time.perf_counter(), time.thread_time()
    for _ in range(times):
        run()
    return Cost((time.perf_counter() - wall) / times, (time.thread_time() - cpu) / times)


def averaged(*several: Costs) -> Costs:
    """Of the same passes."""
    return {
        name: Cost(*(sum(values) / len(several) for values in zip(*(one[name] for one in several), strict=True)))
        for name in several[0]
    }


def _ids(tokens: int) -> list[int]:
    return [100 + 7 * i % 1000 for i in range(tokens)]
