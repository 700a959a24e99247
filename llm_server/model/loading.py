"""Loads a causal language model and its tokenizer.

Imports torch, as `generating` does: import these two only where a model is run.
"""

import logging
import time
from typing import Any

import torch
from transformers import (
    AutoConfig,
    AutoModelForCausalLM,
    AutoTokenizer,
    BitsAndBytesConfig,
    GenerationConfig,
    GgufConfig,
)
from transformers.utils import logging as transformers_logging

import llm_server.baichuan2  # noqa: F401  # makes its checkpoints known to transformers
from llm_server.faults import first_line
from llm_server.model import xformers_attention
from llm_server.model.loaded import Defaults, LoadedModel
from llm_server.model.memory_plan import GIB, free_memory, plan_memory, require_memory
from llm_server.model.source import ModelSource, find_model
from service_kit.errors import ModelUnavailable
from service_kit.logs import event
from service_kit.settings import Settings

logger = logging.getLogger(__name__)

PLANNED_TOKENS = 4096
"""The KV cache that memory must suffice for; a model with a longer window may hold more when there is room."""


def load_model(settings: Settings) -> LoadedModel:
    """Load `settings.model`; takes seconds to minutes.

    Raises:
        ModelUnavailable: the files can not be loaded, or memory does not suffice; the message says why.
    """
    source = find_model(settings.model or "")
    began = time.monotonic()
    try:
        loaded = _load(source, settings)
    except ModelUnavailable:
        raise
    except Exception as error:  # whatever a model's files make transformers raise
        logger.exception("can not load %s", settings.model)
        reason = first_line(error)
        raise ModelUnavailable(
            f"模型 {settings.model} 加载失败：{reason}", f"The model {settings.model} can not be loaded: {reason}"
        ) from error
    device, dtype = str(loaded.model.device), str(loaded.model.dtype)
    event(logger, "model loaded", model=source.name, device=device, dtype=dtype, s=round(time.monotonic() - began, 1))
    return loaded


def _load(source: ModelSource, settings: Settings) -> LoadedModel:
    transformers_logging.disable_progress_bar()  # the log is JSON lines
    device = pick_device(settings.device)
    dtype = pick_dtype(settings.precision, device)
    options: dict[str, Any] = {"dtype": dtype, "device_map": {"": device}}
    files = {"gguf_file": source.gguf_file} if source.gguf_file else {}
    if quantization := _quantization(source, settings.precision, dtype):
        options["quantization_config"] = quantization
    if settings.attention == "xformers":
        if not device.startswith("cuda"):
            raise ValueError(f"YIJU_ATTENTION=xformers needs an NVIDIA card, not {device}")
        xformers_attention.register()
        options["attn_implementation"] = xformers_attention.NAME
    tokenizer = AutoTokenizer.from_pretrained(source.location, **files)
    if hasattr(tokenizer, "shows_reserved"):
        tokenizer.shows_reserved = False
    if not source.gguf_file:
        _check_memory(AutoConfig.from_pretrained(source.location), tokenizer, settings.precision, dtype, device)
    model = AutoModelForCausalLM.from_pretrained(source.location, **files, **options)
    model.eval()
    own = model.generation_config
    stop_ids = _stop_ids(own.eos_token_id, tokenizer)
    loaded = LoadedModel(
        name=source.name,
        model=model,
        tokenizer=tokenizer,
        max_model_len=_max_model_len(model.config, tokenizer),
        defaults=_defaults(own),
        stop_ids=stop_ids,
    )
    # generate() fills each gap of a request's configuration from the model's: nothing may be left there.
    model.generation_config = GenerationConfig()
    # A tokenizer that comes with truncation or padding set changes itself at its first use: not while others use it.
    tokenizer("x")
    return loaded


def _check_memory(config: Any, tokenizer: Any, precision: str, dtype: torch.dtype, device: str) -> None:
    if getattr(config, "quantization_config", None):
        return  # quantized by whoever published it: its layers are not ours to count
    tokens = min(_max_model_len(config, tokenizer) or PLANNED_TOKENS, PLANNED_TOKENS)
    name = str(dtype).removeprefix("torch.") if precision == "auto" else precision
    plan = plan_memory(config, name, dtype, tokens, on_cuda=device.startswith("cuda"))
    free = free_memory(device)
    if free is None:
        event(logger, "memory plan", device=device, **plan.figures())
        return
    event(logger, "memory plan", device=device, free_gib=round(free / GIB, 2), **plan.figures())
    require_memory(config, plan, device, free)


def pick_device(setting: str) -> str:
    """`auto` is CUDA if there is any, else the CPU."""
    if setting != "auto":
        return setting
    return "cuda" if torch.cuda.is_available() else "cpu"


def pick_dtype(precision: str, device: str) -> torch.dtype:
    """`auto`, and what 4bit computes in: bf16 on a GPU that has it, else fp16; fp32 on the CPU."""
    # bitsandbytes computes 8bit in fp16, whatever comes in.
    named = {"fp32": torch.float32, "fp16": torch.float16, "bf16": torch.bfloat16, "8bit": torch.float16}
    if precision in named:
        return named[precision]
    if device == "cpu":
        return torch.float32
    return torch.bfloat16 if device.startswith("cuda") and torch.cuda.is_bf16_supported() else torch.float16


def _quantization(source: ModelSource, precision: str, dtype: torch.dtype) -> Any:
    if precision not in ("8bit", "4bit"):
        return GgufConfig(dequantize=True) if source.gguf_file else None
    if source.gguf_file:
        raise ValueError(f"YIJU_PRECISION={precision} does not go with a GGUF file")
    if precision == "8bit":
        return BitsAndBytesConfig(load_in_8bit=True)
    return BitsAndBytesConfig(load_in_4bit=True, bnb_4bit_quant_type="nf4", bnb_4bit_compute_dtype=dtype)


def _max_model_len(config: Any, tokenizer: Any) -> int | None:
    text_config = config.get_text_config()
    for name in ("max_position_embeddings", "model_max_length", "max_seq_len", "seq_length"):
        length = getattr(text_config, name, None)
        if isinstance(length, int) and length > 0:
            return length
    # transformers writes "no bound" as 1e30.
    return int(tokenizer.model_max_length) if tokenizer.model_max_length < 10**9 else None


def _defaults(own: Any) -> Defaults:
    samples = bool(own.do_sample)
    return Defaults(
        temperature=_or(own.temperature, 1.0) if samples else 0.0,
        top_p=_or(own.top_p, 1.0),
        top_k=_or(own.top_k, 0),
        repetition_penalty=_or(own.repetition_penalty, 1.0),
        max_tokens=own.max_new_tokens,
    )


def _or(value: Any, default: Any) -> Any:
    return default if value is None else value


def _stop_ids(own: int | list[int] | None, tokenizer: Any) -> tuple[int, ...]:
    ids = set(own) if isinstance(own, list) else {own}
    return tuple(sorted(token for token in ids | {tokenizer.eos_token_id} if token is not None))
