"""Baichuan2 in the batching engine: staggered requests of mixed lengths get the tokens that each gets alone."""

from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import pytest

import llm_server.baichuan2  # noqa: F401  # registers its classes
from llm_server.model.loaded import Defaults, LoadedModel
from tests.baichuan2_fixtures import GOLDEN_NAMES, GOLDEN_VARIABLE, golden_folder, make_baichuan2
from tests.batch_fixtures import FIRST, Ask, batch_engine, letters

pytestmark = pytest.mark.slow

torch = pytest.importorskip("torch")


class IdTokenizer:
    """Text that shows the very tokens: one character each."""

    chat_template = None

    def __call__(self, text: str, add_special_tokens: bool, verbose: bool) -> dict[str, list[int]]:
        return {"input_ids": [ord(letter) - FIRST for letter in text]}

    def decode(self, ids: Iterable[int], skip_special_tokens: bool = False) -> str:
        return letters(ids)


def load(folder: Path) -> LoadedModel:
    from transformers import AutoModelForCausalLM, GenerationConfig

    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
    model.eval()
    model.generation_config = GenerationConfig()
    defaults = Defaults(temperature=0.0, top_p=1.0, top_k=0, repetition_penalty=1.0, max_tokens=None)
    return LoadedModel(folder.name, model, IdTokenizer(), 4096, defaults, ())


def staggered(loaded: LoadedModel, wanted: Sequence[tuple[list[int], float]], tokens: int) -> list[list[int]]:
    """The greedy ids of each prompt (with its repetition penalty), each begun after the one before had a token."""
    with batch_engine(loaded, prefill_chunk=16) as engine:
        begun, texts = [], []
        for ids, penalty in wanted:
            ask = Ask(letters(ids), tokens, {"temperature": 0, "repetition_penalty": penalty})
            begun.append(iter(engine.begin(ask.request())))
            texts.append(next(begun[-1]))
        return [[ord(c) - FIRST for c in text + "".join(rest)] for text, rest in zip(texts, begun, strict=True)]


def alone(loaded: LoadedModel, ids: list[int], penalty: float, tokens: int) -> list[int]:
    given = torch.tensor([ids])
    made = loaded.model.generate(
        given, attention_mask=torch.ones_like(given), do_sample=False, max_new_tokens=tokens, pad_token_id=0,
        eos_token_id=None, repetition_penalty=penalty,
    )  # fmt: skip
    found: list[int] = made[0, len(ids) :].tolist()
    return found


@pytest.mark.parametrize("kind", ["13b", "7b"])
def test_own_checkpoints(tmp_path: Path, kind: str) -> None:
    loaded = load(make_baichuan2(tmp_path / kind, kind))
    draw = torch.Generator().manual_seed(1)
    wanted = [
        (torch.randint(3, 300, (length,), generator=draw).tolist(), penalty)
        for length, penalty in ((40, 1.0), (5, 1.05), (300, 1.0), (90, 1.05), (17, 1.0))
    ]
    assert staggered(loaded, wanted, 24) == [alone(loaded, ids, penalty, 24) for ids, penalty in wanted]


@pytest.mark.skipif(golden_folder() is None, reason=f"DID NOT RUN: no golden data; set {GOLDEN_VARIABLE} to its folder")
@pytest.mark.parametrize("name", GOLDEN_NAMES)
def test_golden_continuations(name: str) -> None:
    import numpy as np

    folder: Any = golden_folder()
    arrays = np.load(folder / name / "golden.npz")
    mask = arrays["batch_attention_mask"].astype(bool)
    pair = [row[keep].tolist() for row, keep in zip(arrays["batch_input_ids"], mask, strict=True)]
    whole = arrays["input_ids"][0].tolist()
    wanted = [(pair[0], 1.0), (whole, 1.0), (whole, 1.05), (pair[1], 1.0)]
    expected = [arrays["batch_greedy_ids"][0], arrays["greedy_ids"][0], arrays["greedy_rp105_ids"][0],
                arrays["batch_greedy_ids"][1]]  # fmt: skip
    found = staggered(load(folder / name), wanted, 32)
    for got, golden in zip(found, expected, strict=True):
        assert got == golden[-32:].tolist()
