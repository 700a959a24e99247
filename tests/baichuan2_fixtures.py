"""Tiny random checkpoints in the layout of the published ones, and the golden data where it is there."""

import io
import json
import os
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any

from service_kit.settings_sources import PREFIX

GOLDEN_VARIABLE = f"{PREFIX}TEST_BAICHUAN2"
GOLDEN_NAMES = ("tiny-13b-10heads", "tiny-7b")

SIZES: Mapping[str, dict[str, int]] = {
    "13b": {"hidden_size": 80, "intermediate_size": 96, "num_hidden_layers": 2, "num_attention_heads": 10},
    "7b": {"hidden_size": 64, "intermediate_size": 80, "num_hidden_layers": 2, "num_attention_heads": 4},
}
WINDOW = 256


def golden_folder() -> Path | None:
    """`YIJU_TEST_BAICHUAN2`, or `shared/baichuan2` beside the repository; None where there is neither."""
    beside = Path(__file__).resolve().parents[2] / "shared" / "baichuan2"
    folder = Path(os.environ.get(GOLDEN_VARIABLE) or beside)
    return folder if folder.is_dir() else None


def make_baichuan2(
    folder: Path, kind: str, *, sizes: Mapping[str, int] | None = None, as_bin: bool = True, seed: int = 5
) -> Path:
    """Save a random checkpoint of `kind` ("7b", "13b"), remote code's `auto_map` and all, but without that code."""
    import torch
    from safetensors.torch import save_file

    folder.mkdir(parents=True, exist_ok=True)
    (folder / "tokenizer.model").write_bytes(tokenizer_model())
    config = {
        "architectures": ["BaichuanForCausalLM"],
        "auto_map": {
            "AutoConfig": "configuration_baichuan.BaichuanConfig",
            "AutoModelForCausalLM": "modeling_baichuan.BaichuanForCausalLM",
        },
        "tokenizer_class": "BaichuanTokenizer",
        "bos_token_id": 1,
        "eos_token_id": 2,
        "pad_token_id": 0,
        "hidden_act": "silu",
        "model_max_length": WINDOW,
        "model_type": "baichuan",
        "rms_norm_eps": 1e-6,
        "tie_word_embeddings": False,
        "torch_dtype": "bfloat16",
        "use_cache": True,
        "vocab_size": VOCABULARY,
        **SIZES[kind],
        **(sizes or {}),
    }
    if kind == "7b":
        config["max_position_embeddings"] = config["model_max_length"]
    write_json(folder / "config.json", config)
    write_json(
        folder / "tokenizer_config.json",
        {
            "add_bos_token": False,
            "add_eos_token": False,
            "auto_map": {"AutoTokenizer": ["tokenization_baichuan.BaichuanTokenizer", None]},
            "clean_up_tokenization_spaces": False,
            "model_max_length": WINDOW,
            "tokenizer_class": "BaichuanTokenizer",
        },
    )
    write_json(
        folder / "generation_config.json",
        {
            "pad_token_id": 0,
            "bos_token_id": 1,
            "eos_token_id": 2,
            "user_token_id": 195,
            "assistant_token_id": 196,
            "max_new_tokens": 64,
            "temperature": 0.3,
            "top_k": 5,
            "top_p": 0.85,
            "repetition_penalty": 1.05,
            "do_sample": True,
        },
    )
    weights = random_weights(config, torch.Generator().manual_seed(seed))
    if as_bin:
        torch.save(weights, folder / "pytorch_model.bin")
    else:
        save_file(weights, folder / "model.safetensors", {"format": "pt"})
    return folder


def random_weights(config: Mapping[str, Any], generator: Any) -> dict[str, Any]:
    """In fp32. Small embeddings let the norms' eps be seen, large projections everything else."""
    import torch

    hidden, inner, vocabulary = config["hidden_size"], config["intermediate_size"], config["vocab_size"]

    def normal(*shape: int, std: float) -> Any:
        return torch.randn(*shape, generator=generator) * std

    weights = {
        "model.embed_tokens.weight": normal(vocabulary, hidden, std=0.02),
        "model.norm.weight": 1 + normal(hidden, std=0.2),
        "lm_head.weight": normal(vocabulary, hidden, std=0.3),
    }
    for n in range(config["num_hidden_layers"]):
        weights |= {
            f"model.layers.{n}.{name}.weight": weight
            for name, weight in {
                "input_layernorm": 1 + normal(hidden, std=0.2),
                "post_attention_layernorm": 1 + normal(hidden, std=0.2),
                "self_attn.W_pack": normal(3 * hidden, hidden, std=0.15),
                "self_attn.o_proj": normal(hidden, hidden, std=0.02),
                "mlp.gate_proj": normal(inner, hidden, std=0.1),
                "mlp.up_proj": normal(inner, hidden, std=0.1),
                "mlp.down_proj": normal(hidden, inner, std=0.02),
            }.items()
        }
    return weights


VOCABULARY = 640
_TEXT = """什么是政府专项债务？专项债收入可以用于经常性支出吗？政府专项债务应当通过什么偿还？
地方政府专项债务收入应当用于公益性资本支出，不得用于经常性支出。专项债券应当通过发行人偿还。
The server loads the index by default. Answer from the document only: what is a special bond?
1234567890 ，。！？：；“”（）
"""


@cache
def tokenizer_model() -> bytes:
    """A sentencepiece model with the published one's options and its ids where they have a meaning."""
    import sentencepiece

    # 3 to 88: texts of their own; from 89 on the reserved ones, so that 195 and 196 are <reserved_106> and …107>.
    own = ["<b>", "</b>", "\n", "\t", *(f"<tag{n}>" for n in range(82))]
    reserved = [f"<reserved_{n}>" for n in range(120)]
    model = io.BytesIO()
    sentencepiece.SentencePieceTrainer.train(
        sentence_iterator=iter(_TEXT.splitlines() * 3),
        model_writer=model,
        model_type="bpe",
        vocab_size=VOCABULARY,
        hard_vocab_limit=False,
        user_defined_symbols=own + reserved,
        unk_id=0,
        bos_id=1,
        eos_id=2,
        normalization_rule_name="identity",
        add_dummy_prefix=False,
        remove_extra_whitespaces=False,
        byte_fallback=True,
        split_digits=True,
        minloglevel=2,
    )
    return model.getvalue()


def write_json(path: Path, content: Any) -> None:
    path.write_text(json.dumps(content), "utf-8")
