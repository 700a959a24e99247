"""All golden data of the published code, where it is (`YIJU_TEST_BAICHUAN2` or ../shared/baichuan2)."""

import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import baichuan2_reference as reference
from tests.baichuan2_fixtures import GOLDEN_NAMES, GOLDEN_VARIABLE, golden_folder

torch = pytest.importorskip("torch")
np = pytest.importorskip("numpy")

_folder = golden_folder()
pytestmark = [
    pytest.mark.slow,
    pytest.mark.skipif(_folder is None, reason=f"DID NOT RUN: no golden data; set {GOLDEN_VARIABLE} to its folder"),
]

ATOL = 5e-5


class Golden:
    """One tiny checkpoint with what the published code makes of it."""

    def __init__(self, folder: Path) -> None:
        from transformers import AutoModelForCausalLM, AutoTokenizer

        import llm_server.baichuan2  # noqa: F401

        self.folder = folder
        self.arrays = np.load(folder / "golden.npz")
        self.chat = json.loads((folder / "chat_golden.json").read_text("utf-8"))
        self.model: Any = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32)
        self.tokenizer: Any = AutoTokenizer.from_pretrained(folder)

    def __getitem__(self, name: str) -> Any:
        return torch.from_numpy(self.arrays[name])

    def generate(self, ids: Any, mask: Any, penalty: float = 1.0) -> Any:
        made = self.model.generate(
            ids, attention_mask=mask, do_sample=False, repetition_penalty=penalty, max_new_tokens=32
        )
        return made[:, ids.shape[1] :]


@pytest.fixture(scope="module", params=GOLDEN_NAMES)
def golden(request: pytest.FixtureRequest) -> Iterator[Golden]:
    assert _folder is not None
    with torch.inference_mode():
        yield Golden(_folder / request.param)


def difference(a: Any, b: Any) -> float:
    return float((a - b).abs().max())


def test_logits(golden: Golden) -> None:
    assert difference(golden.model(golden["input_ids"]).logits, golden["logits"]) <= ATOL


def test_the_pickled_weights_are_the_same(golden: Golden) -> None:
    model = golden.model.from_pretrained(golden.folder, dtype=torch.float32, use_safetensors=False)
    assert difference(model(golden["input_ids"]).logits, golden["logits"]) <= ATOL


def test_logits_of_a_left_padded_pair(golden: Golden) -> None:
    mask = golden["batch_attention_mask"]
    logits = golden.model(golden["batch_input_ids"], attention_mask=mask).logits
    assert difference(logits[mask.bool()], golden["batch_logits"][mask.bool()]) <= ATOL


def test_logits_of_an_input_longer_than_the_window(golden: Golden) -> None:
    ids = golden["long_input_ids"]
    assert difference(golden.model(ids).logits[:, -1], golden["long_last_logits"]) <= ATOL


def test_scores_of_each_greedy_step(golden: Golden) -> None:
    made = golden.model.generate(
        golden["input_ids"],
        attention_mask=torch.ones_like(golden["input_ids"]),
        do_sample=False,
        repetition_penalty=1.0,
        max_new_tokens=32,
        output_logits=True,
        return_dict_in_generate=True,
    )
    assert difference(torch.stack(made.logits, dim=1), golden["greedy_scores"]) <= ATOL


@pytest.mark.parametrize(("name", "penalty"), [("greedy_ids", 1.0), ("greedy_rp105_ids", 1.05)])
def test_greedy_continuations(golden: Golden, name: str, penalty: float) -> None:
    ids = golden["input_ids"]
    assert torch.equal(golden.generate(ids, torch.ones_like(ids), penalty), golden[name])


def test_greedy_continuations_of_a_left_padded_pair(golden: Golden) -> None:
    made = golden.generate(golden["batch_input_ids"], golden["batch_attention_mask"])
    assert torch.equal(made, golden["batch_greedy_ids"])


def test_the_slow_reference_agrees_with_the_published_code(golden: Golden) -> None:
    from safetensors.torch import load_file

    config = json.loads((golden.folder / "config.json").read_text())
    weights = {name: w.float().numpy() for name, w in load_file(golden.folder / "model.safetensors").items()}
    logits = reference.logits(config, weights, golden["input_ids"][0].tolist())
    assert difference(torch.tensor(logits), golden["logits"][0]) <= ATOL


def test_slopes(golden: Golden) -> None:
    from llm_server.baichuan2.alibi import slopes

    if "alibi_slopes" not in golden.arrays:
        assert not golden.model.config.uses_alibi
        return
    assert slopes(10) == pytest.approx(golden["alibi_slopes"].tolist())
    assert slopes(40) == pytest.approx(golden["alibi_slopes_40heads"].tolist())


def test_encoding(golden: Golden) -> None:
    for case in golden.chat["encode"]:
        text = case["text"]
        assert golden.tokenizer.encode(text) == case["ids"], text
        assert golden.tokenizer(text)["input_ids"] == case["call_ids"], text
        assert golden.tokenizer.tokenize(text) == case["tokens"], text


def test_decoding(golden: Golden) -> None:
    for case in golden.chat["encode"] + golden.chat["decode"]:
        assert golden.tokenizer.decode(case["ids"]) == case["decode"], case
        assert golden.tokenizer.decode(case["ids"], skip_special_tokens=True) == case["decode_skip_special"], case


FORGED = {"special_in_text", "special_in_text_spaces", "reserved_in_text"}
"""Where the published code takes a content's text for a special token."""


def test_prompts_are_those_of_the_published_code(golden: Golden) -> None:
    whole = 0
    for case in golden.chat["chat"]:
        if case["name"] in FORGED or len(case["ids"]) == case["max_input_tokens"]:
            continue
        if case["max_new_tokens"] < case["model_max_length"]:
            whole += 1
            assert golden.tokenizer.fit_chat(case["messages"], case["max_input_tokens"]) == case["ids"], case["name"]
    assert whole == 19


def test_a_cut_last_round_keeps_system_text_and_role(golden: Golden) -> None:
    cut = [case for case in golden.chat["chat"] if len(case["ids"]) == case["max_input_tokens"]]
    assert cut
    for case in cut:
        ids = golden.tokenizer.fit_chat(case["messages"], case["max_input_tokens"])
        first = case["messages"][0]
        system = golden.tokenizer.encode(first["content"]) if first["role"] == "system" else []
        assert len(ids) <= case["max_input_tokens"]
        assert ids[: len(system) + 1] == [*system, 195]
        assert case["ids"][-50:] == ids[-50:]


def test_the_published_code_s_own_cut(golden: Golden) -> None:
    for case in golden.chat["chat"]:
        ids = reference.chat_ids(
            golden.tokenizer.encode, case["messages"], case["max_new_tokens"], case["model_max_length"]
        )
        assert ids == case["ids"], case["name"]


def test_what_the_published_code_refuses_is_refused(golden: Golden) -> None:
    from jinja2.exceptions import TemplateError

    for case in golden.chat["chat_errors"]:
        with pytest.raises(TemplateError):
            golden.tokenizer.chat_ids(case["messages"])


def test_a_stream_shows_the_same_text_without_broken_characters(golden: Golden) -> None:
    from llm_server.model.detokenizer import Detokenizer

    streamer = golden.chat["streamer"]
    pieces = Detokenizer(lambda ids: str(golden.tokenizer.decode(ids, skip_special_tokens=True)))
    shown = "".join(pieces.push(token) for token in streamer["token_ids"]) + pieces.flush()
    assert shown == streamer["yields"][-1]
