"""Raw forward passes of the model, without scheduling or HTTP: what the bars are measured against.

A raw decode step is one as transformers makes it, with its DynamicCache. The names that begin with `own_` are the same
passes with the engine's cache, which does not copy every row's keys and values at each step: what is left of a bound
from those is what scheduling, reading prompts and HTTP cost.
"""

import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import NamedTuple

import torch
from transformers import DynamicCache

from llm_server.batch.model_runner import ModelRunner
from llm_server.model.loading import load_model
from service_kit.settings import load_settings

ANSWERED, LONG_ANSWERED = 108, 916
"""Tokens in the middle of an answer to a short and to a RAG-length prompt."""
STEPS = 12
OWN = "own_"
"""Begins the names of passes with the engine's cache."""


class Cost(NamedTuple):
    """Seconds of one pass, the mean over several: what a stretch of work is made of, disturbances included."""

    wall_s: float
    cpu_s: float
    """Processor time of the thread, which computes alone."""


Costs = dict[str, Cost]
Pass = Callable[[], object]


class Measurer:
    """One model in memory, in one precision, on one compute thread."""

    def __init__(self, precision: str, chunk: int) -> None:
        torch.set_num_threads(1)
        self._model = load_model(load_settings(model="smollm2", device="cpu", precision=precision)).model
        self._runner = ModelRunner(self._model)
        self._chunk = chunk

    @torch.inference_mode()
    def short(self) -> Costs:
        """Decode steps of 1, 10 and 32 rows in the middle of short answers, with either cache, in turn."""
        return mean_costs({name: run for rows in (1, 10, 32) for name, run in self._steps(rows).items()}, STEPS)

    @torch.inference_mode()
    def rag(self) -> Costs:
        """The whole of a 900-token prompt in one pass, and decode steps of ten such rows with either cache, in turn."""
        steps = self._steps(10, LONG_ANSWERED)
        passes = {name: partial(_repeat, step, STEPS // 2) for name, step in steps.items()}
        costs = mean_costs({"prefill_900": self._prefill, **passes}, 2)
        return {
            name: Cost(*(2 * one / STEPS for one in cost)) if name in steps else cost for name, cost in costs.items()
        }

    @torch.inference_mode()
    def stall(self) -> Costs:
        """One chunk at the end of a 900-token prompt (all of it, if the chunk is longer), and a decode step of one."""
        block, chunk = self._runner.new_block(900), min(self._chunk, 900)
        block.begin([])
        if chunk < 900:
            self._runner.forward([_ids(900 - chunk)], block, 900)
        passes = {"chunk": lambda: self._runner.forward([_ids(chunk)], block, 900)}
        return mean_costs(passes, 1, warm_up=False) | mean_costs({"step_1": self._own_step(1, ANSWERED)}, STEPS)

    @torch.inference_mode()
    def ten_rows(self) -> Costs:
        """Decode steps with either cache, in turn."""
        return mean_costs(self._steps(10), STEPS)

    def _prefill(self) -> None:
        block = self._runner.new_block(900)
        block.begin([])
        self._runner.forward([_ids(900)], block, 900)

    def _steps(self, rows: int, length: int = ANSWERED) -> dict[str, Pass]:
        """Passes that make one more token for each of so many rows, from `length` tokens on, with either cache."""
        name = f"step_{rows}"
        return {name: self._raw_step(rows, length), OWN + name: self._own_step(rows, length)}

    def _own_step(self, rows: int, length: int) -> Pass:
        block, alone, most = self._runner.new_block(0), self._runner.new_block(length), length + STEPS + 1
        alone.begin([])
        self._runner.forward([_ids(length)], alone, length)
        block.join([alone.row(0)] * rows, most)
        return lambda: self._runner.forward([[7]] * rows, block, most)

    def _raw_step(self, rows: int, length: int) -> Pass:
        cache = DynamicCache(config=self._model.config)
        self._model(input_ids=torch.tensor([_ids(length)]), past_key_values=cache, logits_to_keep=1)
        cache.batch_repeat_interleave(rows)
        ids = torch.full((rows, 1), 7)
        return lambda: self._model(input_ids=ids, past_key_values=cache, logits_to_keep=1)


def _repeat(run: Pass, times: int) -> None:
    for _ in range(times):
        run()


def mean_costs(passes: Mapping[str, Pass], times: int, *, warm_up: bool = True) -> Costs:
    """The passes are made in turn, so that a disturbance hits all of them."""
    spent = {name: [0.0, 0.0] for name in passes}
    for turn in range(-warm_up, times):
        for name, run in passes.items():
            wall, cpu = time.perf_counter(), time.thread_time()
            run()
            if turn >= 0:
                spent[name][0] += time.perf_counter() - wall
                spent[name][1] += time.thread_time() - cpu
    return {name: Cost(wall / times, cpu / times) for name, (wall, cpu) in spent.items()}


def averaged(*several: Costs) -> Costs:
    """Of the same passes."""
    return {
        name: Cost(*(sum(values) / len(several) for values in zip(*(one[name] for one in several), strict=True)))
        for name in several[0]
    }


def _ids(tokens: int) -> list[int]:
    return [100 + 7 * i % 1000 for i in range(tokens)]
