"""Baichuan2 behind the serial engine: loaded from its folder, quantized where it may be, trimmed by its own rule."""

import logging
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from llm_server.engines.engine import Request
from llm_server.engines.serial import SerialEngine
from llm_server.model.loading import load_model
from service_kit.deadline import Deadline
from service_kit.errors import ContextTooLong, InvalidRequest, ModelUnavailable
from service_kit.generation import Message, Sampling
from service_kit.settings import load_settings
from tests.baichuan2_fixtures import WINDOW, make_baichuan2
from tests.servers import wait_until

pytestmark = pytest.mark.slow

torch = pytest.importorskip("torch")


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_baichuan2(tmp_path_factory.mktemp("13b"), "13b")


@pytest.fixture(scope="module")
def engine(folder: Path) -> Iterator[SerialEngine]:
    engine = SerialEngine(load_settings(model=str(folder), device="cpu"))
    wait_until(lambda: is_loaded(engine), "the tiny model is loaded", 60)
    yield engine
    engine.close()


def is_loaded(engine: SerialEngine) -> bool:
    try:
        return bool(engine.card())
    except ModelUnavailable as error:
        assert "being loaded" in str(error), error
        return False


def ask(*messages: Message, **sampling: Any) -> Request:
    return Request(messages, Sampling(**{"temperature": 0, **sampling}), Deadline.after(60))


def test_the_engine_s_greedy_answer_is_that_of_generate(engine: SerialEngine) -> None:
    loaded = engine._loaded
    assert loaded is not None
    ids = loaded.tokenizer.chat_ids([{"role": "user", "content": "什么是政府专项债务？"}])
    made = loaded.model.generate(
        torch.tensor([ids]), attention_mask=torch.ones(1, len(ids)), do_sample=False, max_new_tokens=40, eos_token_id=2
    )
    generation = engine.begin(ask(Message("user", "什么是政府专项债务？"), max_tokens=40, repetition_penalty=1.0))
    text = "".join(generation)
    expected = loaded.tokenizer.decode(made[0, len(ids) :], skip_special_tokens=True)
    assert text == expected.rstrip("\ufffd")
    assert generation.usage.prompt_tokens == len(ids)
    assert "<reserved_" not in text


def test_what_the_folder_says_is_known(engine: SerialEngine) -> None:
    card = engine.card()
    assert (card.max_model_len, card.has_chat_template) == (WINDOW, True)
    loaded = engine._loaded
    assert loaded is not None
    assert (loaded.defaults.temperature, loaded.defaults.repetition_penalty, loaded.stop_ids) == (0.3, 1.05, (2,))


def test_a_model_that_speaks_in_reserved_tokens_shows_nothing(tmp_path: Path) -> None:
    """Its head is all but deaf to anything else."""
    folder = make_baichuan2(tmp_path / "m", "13b")
    weights = torch.load(folder / "pytorch_model.bin", weights_only=True)
    head = weights["lm_head.weight"]
    others = [n for n in range(len(head)) if not 89 <= n < 209]
    head[others] = 0.0
    # A row and its opposite: whatever the hidden state, one of the two has a logit over 0.
    head[90:209] = -head[89]
    torch.save(weights, folder / "pytorch_model.bin")
    engine = SerialEngine(load_settings(model=str(folder), device="cpu"))
    wait_until(lambda: is_loaded(engine), "the model is loaded", 60)
    generation = engine.begin(ask(Message("user", "问"), max_tokens=8))
    assert "".join(generation) == ""
    assert generation.usage.completion_tokens == 8
    engine.close()


def test_history_leaves_the_answer_its_tokens(engine: SerialEngine) -> None:
    talk = [Message(role, "债" * 20) for _ in range(10) for role in ("user", "assistant")]
    generation = engine.begin(ask(Message("system", "背景"), *talk, Message("user", "问"), max_tokens=100))
    list(generation)
    assert WINDOW - 100 - 45 < generation.usage.prompt_tokens <= WINDOW - 100


def test_a_question_too_long_is_cut_and_a_system_text_too_long_refused(engine: SerialEngine) -> None:
    generation = engine.begin(ask(Message("user", "债" * 500), max_tokens=100))
    list(generation)
    assert generation.usage.prompt_tokens == WINDOW - 100
    with pytest.raises(ContextTooLong):
        engine.begin(ask(Message("system", "债" * 500), Message("user", "问"), max_tokens=100))


def test_a_late_system_message_leads_the_first_question(engine: SerialEngine) -> None:
    late = (Message("user", "问"), Message("system", "背景"))
    assert engine.count(late) == engine.count((Message("user", "背景\n\n问"),))
    with pytest.raises(InvalidRequest):
        engine.begin(ask(Message("assistant", "答"), Message("system", "背景")))


def test_plain_text_is_plain(engine: SerialEngine) -> None:
    assert engine.count("<reserved_106>") > 5


def test_loading_and_answering_say_nothing(
    folder: Path, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    with caplog.at_level(logging.WARNING):
        engine = SerialEngine(load_settings(model=str(folder), device="cpu"))
        wait_until(lambda: is_loaded(engine), "the tiny model is loaded", 60)
        list(engine.begin(ask(Message("user", "问"), max_tokens=5, temperature=0.7)))
        engine.close()
    assert not caplog.records
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(("precision", "layer", "most"), [("8bit", "Linear8bitLt", 0.06), ("4bit", "Linear4bit", 0.5)])
@pytest.mark.parametrize("kind", ["13b", "7b"])
def test_only_the_five_linear_layers_are_quantized(
    tmp_path: Path, precision: str, layer: str, most: float, kind: str
) -> None:
    pytest.importorskip("bitsandbytes")
    sizes = {"hidden_size": 128, "intermediate_size": 192, "num_attention_heads": 4}
    folder = make_baichuan2(tmp_path / "m", kind, sizes=sizes)
    loaded = load_model(load_settings(model=str(folder), device="cpu", precision=precision))
    names = {name.rsplit(".", 1)[1] for name, m in loaded.model.named_modules() if type(m).__name__ == layer}
    assert names == {"W_pack", "o_proj", "gate_proj", "up_proj", "down_proj"}
    head = loaded.model.lm_head
    assert head.weight.dtype in (torch.float16, torch.float32)
    assert float((head.weight.detach().float().norm(dim=1) - 1).abs().max()) < 1e-3
    ids = torch.arange(100, 130)[None]
    exact = load_model(load_settings(model=str(folder), device="cpu", precision="fp32"))
    with torch.inference_mode():
        error = (loaded.model(ids).logits.float() - exact.model(ids).logits).abs().mean()
    assert float(error) < most  # of logits whose standard deviation is 1


def test_xformers_without_a_card_is_refused_in_words(folder: Path) -> None:
    pytest.importorskip("xformers")
    with pytest.raises(ModelUnavailable, match="needs an NVIDIA card"):
        load_model(load_settings(model=str(folder), device="cpu", attention="xformers"))


def test_biases_for_xformers_are_aligned_and_the_same() -> None:
    from llm_server.model.xformers_attention import aligned_bias

    query = torch.zeros(2, 3, 4, 8)
    mask = torch.randn(1, 3, 4, 13)
    bias = aligned_bias(mask, query, 13)
    assert bias.shape == (2, 3, 4, 13)
    assert bias.stride()[1:3] == (64, 16)
    assert torch.equal(bias[1], mask[0])
    seen = torch.ones(2, 1, 4, 13).tril().bool()
    assert torch.equal(aligned_bias(seen, query, 13) == 0, seen.expand(2, 3, 4, 13))


@pytest.mark.parametrize("kind", ["13b", "7b"])
def test_xformers_is_given_what_sdpa_is_given(tmp_path: Path, kind: str, monkeypatch: pytest.MonkeyPatch) -> None:
    """The kernel itself is played by torch here: what is tested is the way to it."""
    ops = pytest.importorskip("xformers.ops")
    from transformers import AutoModelForCausalLM, DynamicCache

    from llm_server.model import xformers_attention

    def kernel(query: Any, key: Any, value: Any, attn_bias: Any, scale: float) -> Any:
        if isinstance(attn_bias, ops.LowerTriangularMask):
            attn_bias = attn_bias.materialize((query.shape[1], key.shape[1]))
        mixed = torch.nn.functional.scaled_dot_product_attention(
            *(states.transpose(1, 2) for states in (query, key, value)), attn_mask=attn_bias, scale=scale
        )
        return mixed.transpose(1, 2)

    monkeypatch.setattr(ops, "memory_efficient_attention", kernel)
    xformers_attention.register()
    folder = make_baichuan2(tmp_path, kind)
    models: list[Any] = [
        AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, attn_implementation=name)
        for name in ("sdpa", xformers_attention.NAME)
    ]
    assert models[1].config._attn_implementation == "xformers"
    ids = torch.arange(100, 140).view(2, 20)
    mask = torch.ones_like(ids)
    mask[0, :5] = 0
    logits = []
    with torch.inference_mode():
        for model in models:
            cache = DynamicCache()
            parts = [model(ids[:, :18], past_key_values=cache), model(ids[:, 18:], past_key_values=cache)]
            padded = model(ids, attention_mask=mask).logits[mask.bool()]
            logits.append(torch.cat([*(part.logits.flatten() for part in parts), padded.flatten()]))
    assert float((logits[0] - logits[1]).abs().max()) < 5e-5


def test_xformers_gives_the_same_logits_on_a_card(tmp_path: Path) -> None:
    pytest.importorskip("xformers")
    if not torch.cuda.is_available():
        pytest.skip("DID NOT RUN: xformers' kernels need an NVIDIA card, and there is none here")
    for kind in ("13b", "7b"):
        folder = make_baichuan2(tmp_path / kind, kind)
        ids = torch.arange(100, 130, device="cuda")[None].repeat(2, 1)
        mask = torch.ones_like(ids)
        mask[0, :5] = 0
        logits = []
        for attention in ("sdpa", "xformers"):
            settings = load_settings(model=str(folder), device="cuda", precision="fp16", attention=attention)
            model = load_model(settings).model
            with torch.inference_mode():
                whole = model(ids).logits
                padded = model(ids, attention_mask=mask).logits[mask.bool()]
            logits.append(torch.cat([whole.flatten(), padded.flatten()]))
        assert float((logits[0] - logits[1]).abs().max()) < 0.05
