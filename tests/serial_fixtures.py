"""What the tests of the serial engine share."""

import threading
from pathlib import Path
from typing import Any

from llm_server.engines.engine import Request
from llm_server.engines.serial import SerialEngine
from service_kit.deadline import Deadline
from service_kit.errors import ModelUnavailable
from service_kit.generation import Message, Sampling
from service_kit.settings import load_settings
from tests.servers import wait_until


def loaded_engine(model: Path, **settings: Any) -> SerialEngine:
    engine = SerialEngine(load_settings(model=str(model), device="cpu", max_tokens=100_000, **settings))
    wait_until(lambda: is_loaded(engine), "the tiny model is loaded", 60)
    return engine


def is_loaded(engine: SerialEngine) -> bool:
    try:
        return bool(engine.card())
    except ModelUnavailable as error:
        assert "being loaded" in str(error), error
        return False


def ask(text: str = "专项债务", **sampling: Any) -> Request:
    return Request((Message("user", text),), Sampling(**sampling), Deadline.after(60))


def answer(engine: SerialEngine, request: Request) -> str:
    return "".join(engine.begin(request))


def reference(tiny: Path, prompt: str, **options: Any) -> str:
    """What transformers' own generate() gives."""
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(tiny)
    model: Any = AutoModelForCausalLM.from_pretrained(tiny)
    ids = tokenizer(prompt, return_tensors="pt")["input_ids"]
    made = model.generate(ids, attention_mask=ids.new_ones(ids.shape), do_sample=False, pad_token_id=0, **options)
    return str(tokenizer.decode(made[0, ids.shape[1] :], skip_special_tokens=True))


class Gate:
    """A model whose every step waits until the test lets it go."""

    def __init__(self, engine: SerialEngine) -> None:
        loaded = engine._loaded
        assert loaded is not None
        self._model = loaded.model
        self._let_go = threading.Semaphore(0)
        self.steps = 0
        self._handle = self._model.register_forward_pre_hook(self._wait)

    def _wait(self, *_: Any) -> None:
        assert self._let_go.acquire(timeout=30)
        self.steps += 1

    def open(self, steps: int = 1) -> None:
        self._let_go.release(steps)

    def remove(self) -> None:
        self._handle.remove()
        self.open(100_000)
