"""Baichuan2's weights: the normalised head, shards and both file formats, pickles that are more than weights."""

import json
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests.baichuan2_fixtures import VOCABULARY, make_baichuan2

pytestmark = pytest.mark.slow

torch = pytest.importorskip("torch")

from tests.baichuan2_models import ATOL, difference, expected, load, some_ids  # noqa: E402


@pytest.fixture(autouse=True)
def _quietly() -> Iterator[None]:
    with torch.inference_mode():
        yield


def test_the_head_is_normalised_once_and_again_changes_no_bit(baichuan2_folder: Path, tmp_path: Path) -> None:
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        model = load(baichuan2_folder, dtype=dtype)
        head = model.lm_head
        assert difference(head.weight.float().norm(dim=1), torch.ones(VOCABULARY)) < 0.01
        before = head.weight.clone()
        head.normalise()
        model.save_pretrained(tmp_path / str(dtype))
        assert torch.equal(before, head.weight)
        assert torch.equal(before, load(tmp_path / str(dtype), dtype=dtype).lm_head.weight)


def test_weights_that_come_another_way_are_normalised_too(baichuan2_folder: Path) -> None:
    from transformers import AutoConfig, AutoModelForCausalLM

    import llm_server.baichuan2  # noqa: F401

    ids = some_ids(10)
    weights = torch.load(baichuan2_folder / "pytorch_model.bin", weights_only=True)
    config = AutoConfig.from_pretrained(baichuan2_folder)
    fresh: Any = AutoModelForCausalLM.from_config(config, dtype=torch.float32).eval()
    fresh.lm_head.normalise()
    fresh.load_state_dict(weights)
    assert difference(fresh(ids).logits[0], expected(baichuan2_folder, ids)) < ATOL


def test_shards_and_safetensors_give_the_same_weights(tmp_path: Path) -> None:
    one = load(make_baichuan2(tmp_path / "bin", "13b"))
    other = load(make_baichuan2(tmp_path / "safe", "13b", as_bin=False))
    one.save_pretrained(tmp_path / "shards", max_shard_size="100KB")
    assert len(list((tmp_path / "shards").glob("*.safetensors"))) > 1
    ids = some_ids(10)
    for model in (other, load(tmp_path / "shards")):
        assert torch.equal(model(ids).logits, one(ids).logits)


def test_pickled_shards_are_loaded(baichuan2_folder: Path, tmp_path: Path) -> None:
    shutil.copytree(baichuan2_folder, tmp_path / "m")
    weights = torch.load(tmp_path / "m" / "pytorch_model.bin", weights_only=True)
    (tmp_path / "m" / "pytorch_model.bin").unlink()
    place = {name: f"pytorch_model-{n % 3 + 1:05}-of-00003.bin" for n, name in enumerate(weights)}
    for file in set(place.values()):
        torch.save({name: weights[name] for name in weights if place[name] == file}, tmp_path / "m" / file)
    index = {"metadata": {"total_size": 0}, "weight_map": place}
    (tmp_path / "m" / "pytorch_model.bin.index.json").write_text(json.dumps(index))
    ids = some_ids(10)
    assert torch.equal(load(tmp_path / "m")(ids).logits, load(baichuan2_folder)(ids).logits)


def test_a_pickle_that_is_more_than_weights_is_refused(baichuan2_folder: Path, tmp_path: Path) -> None:
    class Evil:
        def __reduce__(self) -> Any:
            return (Path.touch, (tmp_path / "ran",))

    make_baichuan2(tmp_path / "evil", "13b")
    torch.save({"lm_head.weight": Evil()}, tmp_path / "evil" / "pytorch_model.bin")
    with pytest.raises(Exception, match=r"[Ww]eights.only"):
        load(tmp_path / "evil")
    assert not (tmp_path / "ran").exists()


def test_a_saved_model_is_still_of_its_kind(baichuan2_folder: Path, tmp_path: Path) -> None:
    model, ids = load(baichuan2_folder), some_ids(10)
    model.save_pretrained(tmp_path)
    again = load(tmp_path)
    assert again.config.uses_alibi == model.config.uses_alibi
    assert difference(again(ids).logits, model(ids).logits) < ATOL
