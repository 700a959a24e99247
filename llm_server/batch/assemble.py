"""The parts of the engine for one model: how much memory, how many threads, who works with whom."""

import logging
import os
from collections.abc import Callable
from typing import NamedTuple

import psutil
import torch

from llm_server.batch.model_runner import ModelRunner
from llm_server.batch.prefix_cache import PrefixCache
from llm_server.batch.scheduler import Scheduler
from llm_server.batch.sequence import Sequence
from llm_server.batch.stepper import Stepper
from llm_server.model.loaded import LoadedModel
from service_kit.logs import event
from service_kit.settings import Settings

logger = logging.getLogger(__name__)

SHARE = 0.5
"""Of the memory that is free once the model is loaded; the rest is for activations, neighbours, blocks being moved."""
PREFIX_SHARE = 8
"""The prefixes' part of the memory for keys and values is one in this many."""


class Parts(NamedTuple):
    """What one life of the engine's thread works with."""

    stepper: Stepper
    scheduler: Scheduler
    prefixes: PrefixCache


def assemble(loaded: LoadedModel, settings: Settings, on_end: Callable[[Sequence], object]) -> Parts:
    """Called in the thread that is going to compute. Raises ModelUnavailable for a model that can not be batched."""
    torch.set_num_threads(compute_threads(settings))
    runner = ModelRunner(loaded.model)
    bytes_each = runner.kv_bytes_per_token()
    for_rows, for_prefixes = _budget(loaded, settings, runner.device, bytes_each)
    scheduler = Scheduler(for_rows, settings.max_batch, runner.weight_bytes() // bytes_each)
    prefixes = PrefixCache(for_prefixes)
    event(
        logger,
        "batch engine",
        kv_tokens=for_rows,
        prefix_tokens=for_prefixes,
        kv_bytes_per_token=bytes_each,
        compute_threads=torch.get_num_threads(),
    )
    return Parts(Stepper(runner, scheduler, prefixes, settings.prefill_chunk, on_end), scheduler, prefixes)


def compute_threads(settings: Settings) -> int:
    """`YIJU_COMPUTE_THREADS`, else one for each physical core that this process may use (or `OMP_NUM_THREADS`)."""
    if settings.compute_threads:
        return settings.compute_threads
    allowed = len(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else os.cpu_count() or 1
    physical = psutil.cpu_count(logical=False) or allowed
    return max(1, min(physical, allowed, torch.get_num_threads()))


def _budget(loaded: LoadedModel, settings: Settings, device: torch.device, bytes_each: int) -> tuple[int, int]:
    """Tokens of keys and values for the rows and for the prefixes."""
    if settings.kv_tokens:
        total, for_rows = settings.kv_tokens + settings.kv_tokens // PREFIX_SHARE, settings.kv_tokens
    else:
        free = torch.cuda.mem_get_info(device)[0] if device.type == "cuda" else psutil.virtual_memory().available
        total = int(free * SHARE) // bytes_each
        most = settings.max_batch * loaded.max_model_len if loaded.max_model_len else total
        for_rows = max(1, min(total - total // PREFIX_SHARE, most))
    for_prefixes = settings.prefix_tokens if settings.prefix_tokens is not None else total // PREFIX_SHARE
    return for_rows, for_prefixes
