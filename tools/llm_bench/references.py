"""Raw forward passes of the model, without scheduling or HTTP: what the bars are measured against.

The passes go through the engine's own cache, whose steps are quicker than those of transformers' DynamicCache (both
are stated): a bound from the slower ones would be easier to reach.
"""

import statistics
import time
from collections.abc import Callable
from dataclasses import dataclass

import torch
from transformers import DynamicCache

from llm_server.batch.kv_cache import KvBlock
from llm_server.batch.model_runner import ModelRunner
from llm_server.model.loading import load_model
from service_kit.settings import load_settings

SHORT, LONG = 108, 916
"""Tokens in the middle of an answer to a short and to a RAG-length prompt."""
STEPS = 15


@dataclass(frozen=True)
class References:
    """Medians, in seconds of processor time, which is the time it takes where nothing else runs."""

    step_1: float
    step_10: float
    step_32: float
    long_step_10: float
    prefill_900: float
    chunk: float
    """One prefill chunk at the end of a 900-token prompt."""
    dynamic_step_1: float
    """As step_1 and step_10, with transformers' DynamicCache."""
    dynamic_step_10: float


class Measurer:
    """One model in memory, in one precision, on one compute thread."""

    def __init__(self, precision: str, chunk: int) -> None:
        torch.set_num_threads(1)
        self._model = load_model(load_settings(model="smollm2", device="cpu", precision=precision)).model
        self._runner = ModelRunner(self._model)
        self._chunk = chunk

    @torch.inference_mode()
    def measure(self) -> References:
        return References(
            step_1=self._step(1, SHORT),
            step_10=self._step(10, SHORT),
            step_32=self._step(32, SHORT),
            long_step_10=self._step(10, LONG),
            prefill_900=median_s(lambda: self._read(self._runner.new_block(900), 900), 3),
            chunk=self._last_chunk(),
            dynamic_step_1=self._dynamic_step(1),
            dynamic_step_10=self._dynamic_step(10),
        )

    @torch.inference_mode()
    def ten_rows(self) -> float:
        return self._step(10, SHORT)

    def _step(self, rows: int, length: int) -> float:
        block = self._runner.new_block(0)
        alone = self._runner.new_block(length)
        self._read(alone, length)
        block.join([alone.row(0)] * rows, length + STEPS + 3)
        return median_s(lambda: self._runner.forward([[7]] * rows, block, length + STEPS + 3), STEPS)

    def _last_chunk(self) -> float:
        def once() -> float:
            block = self._runner.new_block(900)
            self._read(block, 900 - self._chunk)
            return timed_s(lambda: self._runner.forward([_ids(self._chunk)], block, 900))

        return statistics.median(once() for _ in range(3))

    def _read(self, block: KvBlock, tokens: int) -> None:
        block.begin([])
        self._runner.forward([_ids(tokens)], block, tokens)

    def _dynamic_step(self, rows: int) -> float:
        cache = DynamicCache(config=self._model.config)
        ids = torch.tensor([_ids(SHORT)] * rows)
        self._model(input_ids=ids, past_key_values=cache, logits_to_keep=1)
        step = ids[:, :1]
        return median_s(lambda: self._model(input_ids=step, past_key_values=cache, logits_to_keep=1), STEPS)


def pooled(measured: list[References]) -> References:
    """The median of each figure over several times of measuring."""
    return References(**{name: statistics.median(getattr(one, name) for one in measured) for name in vars(measured[0])})


def median_s(run: Callable[[], object], times: int) -> float:
    run()
    return statistics.median(timed_s(run) for _ in range(times))


def timed_s(run: Callable[[], object]) -> float:
    """Of this thread's processor time, in which it computes alone: what others do on the machine does not count."""
    began = time.thread_time()
    run()
    return time.thread_time() - began


def _ids(tokens: int) -> list[int]:
    return [100 + 7 * i % 1000 for i in range(tokens)]
