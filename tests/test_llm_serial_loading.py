"""How the serial engine loads a model, and what it says when it can not."""

import logging
import threading
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from llm_server.app import create_app
from llm_server.engines.serial import SerialEngine
from llm_server.model.loaded import LoadedModel
from service_kit.errors import (
    ModelUnavailable,
)
from service_kit.settings import Settings, load_settings
from tests.llm_fixtures import make_tiny_model
from tests.servers import wait_until

pytestmark = pytest.mark.slow

torch = pytest.importorskip("torch")

from tests.serial_fixtures import answer, ask, loaded_engine  # noqa: E402


def failing_engine(**settings: Any) -> tuple[SerialEngine, str]:
    engine = SerialEngine(load_settings(device="cpu", **settings))

    def fault() -> str:
        with pytest.raises(ModelUnavailable) as caught:
            engine.card()
        return str(caught.value)

    wait_until(lambda: "being loaded" not in fault(), "loading has failed", 60)
    return engine, fault()


def test_the_model_s_generation_config_gives_the_defaults(tmp_path: Path) -> None:
    make_tiny_model(tmp_path)
    config = '{"do_sample": true, "temperature": 0.3, "top_k": 5, "top_p": 0.85, "repetition_penalty": 1.05,'
    (tmp_path / "generation_config.json").write_text(config + '"max_new_tokens": 12, "eos_token_id": [256, 10]}')
    engine = loaded_engine(tmp_path)
    loaded = engine._loaded
    assert loaded is not None
    defaults = loaded.defaults
    assert (defaults.temperature, defaults.top_k, defaults.top_p) == (0.3, 5, 0.85)
    assert (defaults.repetition_penalty, defaults.max_tokens) == (1.05, 12)
    assert {10, 256} <= set(loaded.stop_ids)
    generation = engine.begin(ask())
    list(generation)
    assert generation.usage.completion_tokens <= 12
    engine.close()


@pytest.mark.parametrize(("precision", "dtype"), [("auto", "float32"), ("bf16", "bfloat16"), ("fp16", "float16")])
def test_precision_is_as_set(tiny_llama: Path, precision: str, dtype: str) -> None:
    engine = loaded_engine(tiny_llama, precision=precision)
    loaded = engine._loaded
    assert loaded is not None
    assert str(loaded.model.dtype) == f"torch.{dtype}"
    generation = engine.begin(ask(max_tokens=3, temperature=0))
    list(generation)
    assert generation.usage.completion_tokens == 3
    engine.close()


@pytest.mark.parametrize("precision", ["8bit", "4bit"])
def test_a_quantized_model_generates_without_a_warning(tmp_path: Path, precision: str) -> None:
    pytest.importorskip("bitsandbytes")
    engine = loaded_engine(make_tiny_model(tmp_path, width=128), precision=precision)
    generation = engine.begin(ask(max_tokens=3, temperature=0))
    list(generation)
    assert generation.usage.completion_tokens == 3
    engine.close()


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda folder: None, "can not be loaded"),
        (lambda folder: (folder / "config.json").write_text("{"), "can not be loaded"),
        (lambda folder: folder.rmdir(), "no such folder or file"),
    ],
)
def test_a_model_that_can_not_be_loaded_leaves_the_service_running(
    tmp_path: Path, make: Callable[[Path], object], message: str
) -> None:
    make(tmp_path)
    engine, fault = failing_engine(model=str(tmp_path))
    assert message in fault
    client = create_app(load_settings(lang="en"), engine).test_client()
    assert client.get("/healthz").status_code == 200
    ready = client.get("/readyz")
    assert (ready.status_code, message in ready.text) == (503, True)
    response = client.post("/", json={"messages": [{"role": "user", "content": "hi"}]})
    assert (response.status_code, response.get_json()["response"]) == (503, fault)
    engine.close()


@pytest.mark.parametrize(
    ("missing", "precision", "hint"),
    [("torch", "auto", "bootstrap.py llm"), ("bitsandbytes", "8bit", "bootstrap.py gpu")],
)
def test_a_missing_package_is_named_with_its_extra(
    tiny_llama: Path, monkeypatch: pytest.MonkeyPatch, missing: str, precision: str, hint: str
) -> None:
    import importlib.util

    find = importlib.util.find_spec
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None if name == missing else find(name))
    engine, fault = failing_engine(model=str(tiny_llama), precision=precision)
    assert missing in fault
    assert hint in fault
    engine.close()


def test_while_the_model_loads_every_answer_says_so(settings: Settings) -> None:
    go = threading.Event()

    def slow_load(_: Settings) -> LoadedModel:
        go.wait(30)
        raise ModelUnavailable("无", "gone")

    engine = SerialEngine(load_settings(model="big"), slow_load)
    client = create_app(settings, engine).test_client()
    assert client.get("/healthz").status_code == 200
    response = client.post("/", json={"messages": [{"role": "user", "content": "hi"}]})
    assert (response.status_code, response.headers["Retry-After"]) == (503, "5")
    assert "big 正在加载" in response.get_json()["response"]
    go.set()
    engine.close()


def test_loading_and_generating_say_nothing(tiny_llama: Path, caplog: pytest.LogCaptureFixture, capfd: Any) -> None:
    with caplog.at_level(logging.WARNING):
        engine = loaded_engine(tiny_llama)
        answer(engine, ask(temperature=0.7, max_tokens=5))
        engine.close()
    assert not caplog.records
    assert capfd.readouterr() == ("", "")
