"""Tiny models with random weights, one for each way of knowing where a token stands, and engines on them."""

import random
import threading
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from functools import lru_cache
from typing import Any

from llm_server.batch.engine import BatchEngine
from llm_server.engines.engine import Load, Request
from llm_server.model.loaded import Defaults, LoadedModel
from service_kit.deadline import Deadline
from service_kit.errors import ModelUnavailable
from service_kit.generation import Generation, Sampling
from service_kit.settings import load_settings
from tests.servers import wait_until

WINDOW = 1024
VOCABULARY = 256
SLIDING = 24


FIRST = 0x4E00


class LetterTokenizer:
    """Each of the 256 tokens is one Chinese character, so that text shows the very tokens."""

    chat_template = None

    def __call__(self, text: str, add_special_tokens: bool, verbose: bool) -> dict[str, list[int]]:
        return {"input_ids": [(ord(letter) - FIRST) % VOCABULARY for letter in text]}

    def decode(self, ids: Iterable[int], skip_special_tokens: bool = False) -> str:
        return letters(ids)


def letters(ids: Iterable[int]) -> str:
    return "".join(chr(FIRST + token) for token in ids)


def _config(kind: str) -> Any:
    """A two- or four-layer model of this kind that reads bytes."""
    import transformers as hf

    common: dict[str, Any] = {
        "vocab_size": VOCABULARY,
        "bos_token_id": None,
        "eos_token_id": None,
        "pad_token_id": None,
    }
    common["tie_word_embeddings"] = False
    modern = common | {
        "hidden_size": 32, "intermediate_size": 64, "num_attention_heads": 4, "max_position_embeddings": WINDOW,
    }  # fmt: skip
    match kind:
        case "llama":
            return hf.LlamaConfig(**modern, num_hidden_layers=2, num_key_value_heads=4)
        case "qwen2":
            return hf.Qwen2Config(**modern, num_hidden_layers=2, num_key_value_heads=2)
        case "mistral":
            return hf.MistralConfig(**modern, num_hidden_layers=2, num_key_value_heads=2, sliding_window=SLIDING)
        case "gemma3":
            layers = ["sliding_attention", "sliding_attention", "full_attention", "sliding_attention"]
            return hf.Gemma3TextConfig(
                **modern, num_hidden_layers=4, num_key_value_heads=2, head_dim=8, sliding_window=SLIDING,
                layer_types=layers, query_pre_attn_scalar=8,
            )  # fmt: skip
        case "gpt2":
            return hf.GPT2Config(**common, n_embd=32, n_layer=2, n_head=4, n_positions=WINDOW)
        case "bloom":
            return hf.BloomConfig(**common, hidden_size=32, n_layer=2, n_head=4)
        case "mpt":
            return hf.MptConfig(**common, d_model=32, n_layers=2, n_heads=4, max_seq_len=WINDOW, expansion_ratio=2)
        case "falcon":
            return hf.FalconConfig(
                **common, hidden_size=32, num_hidden_layers=2, num_attention_heads=4, alibi=True,
                new_decoder_architecture=False, multi_query=True,
            )  # fmt: skip
    raise ValueError(kind)


@lru_cache
def tiny(kind: str) -> LoadedModel:
    """Random weights, spread wide enough that greedy text is not one letter over and over."""
    import torch
    from transformers import AutoModelForCausalLM, GenerationConfig

    with torch.random.fork_rng():
        torch.manual_seed(3)
        model = AutoModelForCausalLM.from_config(_config(kind), dtype=torch.float32)
        for name, parameter in model.named_parameters():
            if parameter.dim() > 1:
                torch.nn.init.normal_(parameter, std=0.5 if "emb" in name or "wte" in name else 0.25)
    model.eval()
    model.generation_config = GenerationConfig()
    defaults = Defaults(temperature=0.0, top_p=1.0, top_k=0, repetition_penalty=1.0, max_tokens=None)
    return LoadedModel(kind, model, LetterTokenizer(), WINDOW, defaults, ())


@contextmanager
def batch_engine(loaded: LoadedModel, **settings: Any) -> Iterator[BatchEngine]:
    """An engine that is ready, and is left idle."""
    given = {"model": loaded.name, "engine": "batch", "device": "cpu", "compute_threads": 1, "kv_tokens": 20_000}
    engine = BatchEngine(load_settings(**(given | settings)), lambda _: loaded)
    try:
        wait_until(lambda: is_ready(engine), "the engine is ready", 60)
        yield engine
    finally:
        engine.close()


def is_ready(engine: BatchEngine) -> bool:
    try:
        return bool(engine.card())
    except ModelUnavailable:
        return False


def is_idle(engine: BatchEngine) -> bool:
    """Nothing runs or waits, and all memory has been given back."""
    load: Load = engine.load()
    return (load.waiting, load.running, load.kv_used) == (0, 0, 0)


@dataclass(frozen=True)
class Ask:
    """A prompt and how it is to be answered."""

    prompt: str
    max_tokens: int
    options: Any = None

    def request(self, seconds: float = 120.0) -> Request:
        sampling = Sampling(max_tokens=self.max_tokens, **(self.options or {}))
        return Request(self.prompt, sampling, Deadline.after(seconds))


def reference(loaded: LoadedModel, prompt: str, max_tokens: int, **options: Any) -> str:
    """What transformers' own generate() makes of one prompt by itself."""
    import torch

    ids = loaded.tokenizer(prompt, add_special_tokens=True, verbose=False)["input_ids"]
    given = torch.tensor([ids])
    made = loaded.model.generate(
        given, attention_mask=torch.ones_like(given), do_sample=False, max_new_tokens=max_tokens, pad_token_id=0,
        eos_token_id=list(loaded.stop_ids) or None, **options,
    )  # fmt: skip
    return str(loaded.tokenizer.decode(made[0, len(ids) :].tolist(), skip_special_tokens=True))


class Gate:
    """Lets the model make one forward pass at a time, and notes the shape (rows, tokens) of each."""

    def __init__(self, loaded: LoadedModel) -> None:
        self._let_go = threading.Semaphore(0)
        self.passes: list[tuple[int, int]] = []
        self.asked = 0
        self._handle = loaded.model.register_forward_pre_hook(self._wait, with_kwargs=True)

    def _wait(self, _: Any, args: Any, kwargs: Any) -> None:
        self.asked += 1
        assert self._let_go.acquire(timeout=60)
        self.passes.append(tuple(kwargs["input_ids"].shape))

    def open(self, passes: int = 1) -> None:
        if passes:
            self._let_go.release(passes)

    def remove(self) -> None:
        self._handle.remove()
        self.open(100_000)


@contextmanager
def gated(loaded: LoadedModel) -> Iterator[Gate]:
    gate = Gate(loaded)
    try:
        yield gate
    finally:
        gate.remove()


@contextmanager
def hooked(loaded: LoadedModel, after: Any = None, before: Any = None) -> Iterator[None]:
    """`before(kwargs)` and `after(kwargs, output)` around each forward pass."""
    model, handles = loaded.model, []
    if before:
        handles.append(model.register_forward_pre_hook(lambda _, args, kwargs: before(kwargs), with_kwargs=True))
    if after:
        handles.append(model.register_forward_hook(lambda _, a, kwargs, out: after(kwargs, out), with_kwargs=True))
    try:
        yield
    finally:
        for handle in handles:
            handle.remove()


def some_prompts(seed: int, *lengths: int) -> list[str]:
    draw = random.Random(seed)
    return [letters(draw.randrange(VOCABULARY) for _ in range(length)) for length in lengths]


PROMPTS = some_prompts(11, 10, 20, 30, 12)


def text_of(generation: Generation) -> str:
    return "".join(generation)


def expected(prompt: str, tokens: int) -> str:
    return reference(tiny("llama"), prompt, tokens)


def begin_all(engine: BatchEngine, tokens: int = 30) -> list[Generation]:
    return [engine.begin(Ask(prompt, tokens).request()) for prompt in PROMPTS]


def waits_at(gate: Gate, passes: int) -> None:
    """The engine has made so many passes and stands before the next."""
    wait_until(lambda: gate.asked == passes + 1, f"{passes} passes were made")


def idle_after(engine: BatchEngine) -> None:
    wait_until(lambda: is_idle(engine), "nothing runs and all memory is given back")
