"""The memory plan: the figures that were measured, and a refusal that says what would do."""

import logging
from pathlib import Path
from typing import Any

import pytest

from service_kit.errors import ModelUnavailable
from service_kit.settings import load_settings
from tests.baichuan2_fixtures import make_baichuan2

pytestmark = pytest.mark.slow

torch = pytest.importorskip("torch")

GIB = 2**30


def config(kind: str) -> Any:
    from llm_server.baichuan2 import BaichuanConfig

    if kind == "13b":
        return BaichuanConfig()
    return BaichuanConfig(
        hidden_size=4096,
        intermediate_size=11008,
        num_hidden_layers=32,
        num_attention_heads=32,
        max_position_embeddings=4096,
    )


def plan(kind: str, precision: str) -> Any:
    from llm_server.model.memory_plan import plan_memory

    return plan_memory(config(kind), precision, torch.float16, 4096, on_cuda=True)


@pytest.mark.parametrize(
    ("kind", "precision", "gib"),
    [("13b", "fp16", 25.88), ("13b", "8bit", 14.14), ("7b", "fp16", 13.98), ("7b", "8bit", 7.95), ("7b", "4bit", 5.03)],
)
def test_weights_are_those_of_the_real_models(kind: str, precision: str, gib: float) -> None:
    assert plan(kind, precision).weights / GIB == pytest.approx(gib, abs=0.01)


def test_the_13b_s_weights_to_the_byte_and_its_cache_per_token() -> None:
    assert plan("13b", "fp16").weights == 27_793_336_320
    assert plan("13b", "fp16").kv_per_token == 819_200


def test_a_model_with_fewer_key_heads_keeps_a_smaller_cache() -> None:
    from transformers import LlamaConfig

    from llm_server.model.memory_plan import plan_memory

    small = LlamaConfig(hidden_size=64, num_attention_heads=4, num_key_value_heads=2, num_hidden_layers=3)
    assert plan_memory(small, "fp32", torch.float32, 100, on_cuda=False).kv_per_token == 2 * 3 * 2 * 16 * 4


def test_a_model_whose_cache_nobody_can_reckon_is_not_refused_for_it() -> None:
    from transformers import MambaConfig

    from llm_server.model.memory_plan import plan_memory

    mamba = MambaConfig(vocab_size=100, hidden_size=32, num_hidden_layers=2)
    assert plan_memory(mamba, "fp32", torch.float32, 100, on_cuda=False).kv_per_token == 0


@pytest.mark.parametrize(
    ("free", "way"),
    [(24, "YIJU_PRECISION=8bit (18.3 GiB)"), (16, "YIJU_PRECISION=4bit (12.6 GiB)"), (8, "a card with 12.6 GiB free")],
)
def test_a_refusal_has_the_numbers_and_a_way(free: int, way: str) -> None:
    from llm_server.model.memory_plan import require_memory

    with pytest.raises(ModelUnavailable) as caught:
        require_memory(config("13b"), plan("13b", "fp16"), "cuda:0", free * GIB)
    assert way in str(caught.value)
    assert "needs 30.0 GiB (weights 25.9, KV cache of 4096 tokens 3.1)" in str(caught.value)
    assert f"{free}.0 GiB" in caught.value.words.zh


def test_what_fits_is_not_refused() -> None:
    from llm_server.model.memory_plan import require_memory

    require_memory(config("13b"), plan("13b", "8bit"), "cuda:0", 24 * GIB)


def test_loading_prints_the_plan_and_refuses_before_it_loads(
    tmp_path: Path, caplog: pytest.LogCaptureFixture, monkeypatch: pytest.MonkeyPatch
) -> None:
    from llm_server.model import loading

    settings = load_settings(model=str(make_baichuan2(tmp_path / "m", "13b")), device="cpu")
    with caplog.at_level(logging.INFO):
        loading.load_model(settings)
    printed = next(record for record in caplog.records if record.message == "memory plan")
    assert printed.__dict__["kv_kib_per_token"] == pytest.approx(2 * 2 * 80 * 4 / 1024, abs=0.1)
    monkeypatch.setattr(loading, "free_memory", lambda device: 1000)
    with pytest.raises(ModelUnavailable, match="can not hold this model"):
        loading.load_model(settings)
