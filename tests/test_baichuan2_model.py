"""Baichuan2's model against the slow reference, on random weights: whole, cached, cut, padded, long, half precision."""

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from tests import baichuan2_reference as reference
from tests.baichuan2_fixtures import WINDOW

pytestmark = pytest.mark.slow

torch = pytest.importorskip("torch")

from tests.baichuan2_models import ATOL, difference, expected, load, some_ids  # noqa: E402


@pytest.fixture(autouse=True)
def _quietly() -> Iterator[None]:
    with torch.inference_mode():
        yield


def test_an_original_folder_loads_with_our_classes_and_asks_for_no_trust(baichuan2_folder: Path) -> None:
    from transformers import AutoConfig, AutoTokenizer

    import llm_server.baichuan2

    model = load(baichuan2_folder)
    assert type(model) is llm_server.baichuan2.BaichuanForCausalLM
    assert type(AutoTokenizer.from_pretrained(baichuan2_folder)) is llm_server.baichuan2.BaichuanTokenizer
    config = AutoConfig.from_pretrained(baichuan2_folder)
    assert config.uses_alibi == (baichuan2_folder.name.startswith("13b"))


def test_logits_are_the_reference_s(baichuan2_folder: Path) -> None:
    ids = some_ids(48)
    assert difference(load(baichuan2_folder)(ids).logits[0], expected(baichuan2_folder, ids)) < ATOL


@pytest.mark.parametrize("heads", [1, 2, 3, 5, 8, 10, 12, 20, 40, 52])
def test_slopes_are_the_paper_s_for_any_number_of_heads(heads: int) -> None:
    from llm_server.baichuan2.alibi import slopes

    assert slopes(heads) == pytest.approx(reference.alibi_slopes(heads), rel=1e-12)


def test_slopes_of_the_13b_are_those_that_were_measured() -> None:
    from llm_server.baichuan2.alibi import slopes

    last = [0.917004, 0.771105, 0.648420, 0.545254, 0.458502, 0.385553, 0.324210, 0.272627]
    assert slopes(40)[32:] == pytest.approx(last, abs=1e-6)
    assert slopes(40)[:32] == pytest.approx([2 ** (-(k + 1) / 4) for k in range(32)])


def test_token_by_token_is_the_whole(baichuan2_folder: Path) -> None:
    from transformers import DynamicCache

    model, ids = load(baichuan2_folder), some_ids(30)
    whole, cache = model(ids).logits[0], DynamicCache()
    steps = [model(ids[:, n : n + 1], past_key_values=cache).logits[0, 0] for n in range(30)]
    assert difference(torch.stack(steps), whole) < ATOL


@pytest.mark.parametrize("cuts", [(0, 7, 30), (0, 1, 2, 29, 30), (0, 16, 30)])
def test_a_prompt_in_pieces_is_the_whole(baichuan2_folder: Path, cuts: tuple[int, ...]) -> None:
    from transformers import DynamicCache

    model, ids, cache = load(baichuan2_folder), some_ids(30), DynamicCache()
    parts = []
    for start, stop in itertools.pairwise(cuts):
        mask = torch.ones(1, stop, dtype=torch.long)
        parts.append(model(ids[:, start:stop], attention_mask=mask, past_key_values=cache).logits[0])
    assert difference(torch.cat(parts), model(ids).logits[0]) < ATOL


@pytest.mark.parametrize("kept", [0, 2**28])
def test_a_long_prompt_in_blocks_of_biases_is_the_whole(
    baichuan2_folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch, kept: int
) -> None:
    from llm_server.baichuan2 import alibi

    model, ids = load(baichuan2_folders["13b"]), some_ids(30)
    whole = model(ids).logits
    monkeypatch.setattr(alibi, "BLOCK_ELEMENTS", 7 * 10 * 30)
    monkeypatch.setattr(alibi, "KEPT_ELEMENTS", kept)
    made = alibi.Alibi(10, 30, 0, None, dtype=torch.float32, device=torch.device("cpu"))
    assert [some.stop - some.start for some, _ in made.blocks()] == [7, 7, 7, 7, 2]
    assert difference(model(ids).logits, whole) < ATOL


def padded(rows: list[Any], side: str) -> tuple[Any, Any]:
    """Ids and mask of `rows` (each 1-dimensional), padded with zeros on `side`."""
    longest = max(len(row) for row in rows)
    ids = torch.zeros(len(rows), longest, dtype=torch.long)
    mask = torch.zeros(len(rows), longest, dtype=torch.long)
    for n, row in enumerate(rows):
        place = slice(longest - len(row), None) if side == "left" else slice(0, len(row))
        ids[n, place], mask[n, place] = row, 1
    return ids, mask


@pytest.mark.parametrize("side", ["left", "right"])
def test_padding_on_either_side_changes_nothing(baichuan2_folder: Path, side: str) -> None:
    model = load(baichuan2_folder)
    rows = [some_ids(length, seed=length)[0] for length in (21, 13, 1)]
    ids, mask = padded(rows, side)
    found = model(ids, attention_mask=mask).logits
    assert not found.isnan().any()
    for n, row in enumerate(rows):
        assert difference(found[n][mask[n].bool()], model(row[None]).logits[0]) < ATOL


@pytest.mark.parametrize("side", ["left", "right"])
def test_a_padded_batch_goes_on_token_by_token(baichuan2_folder: Path, side: str) -> None:
    """With the padding of the right side ending up between a row's prompt and what follows."""
    from transformers import DynamicCache

    model = load(baichuan2_folder)
    prompts = [some_ids(length, seed=length)[0] for length in (21, 13)]
    more = [some_ids(6, seed=100 + n)[0] for n in range(2)]
    ids, mask = padded(prompts, side)
    cache = DynamicCache()
    model(ids, attention_mask=mask, past_key_values=cache)
    for step in range(6):
        mask = torch.cat([mask, torch.ones(2, 1, dtype=torch.long)], dim=1)
        new = torch.stack([row[step : step + 1] for row in more])
        places = mask.cumsum(1)[:, -1:] - 1
        logits = model(new, attention_mask=mask, position_ids=places, past_key_values=cache).logits
        for n in range(2):
            alone = model(torch.cat([prompts[n], more[n][: step + 1]])[None]).logits[0, -1]
            assert difference(logits[n, 0], alone) < ATOL


def test_positions_are_counted_where_the_caller_gives_none(baichuan2_folder: Path) -> None:
    model = load(baichuan2_folder)
    ids, mask = padded([some_ids(9)[0], some_ids(5)[0]], "left")
    places = (mask.cumsum(1) - 1).clamp(min=0)
    given = model(ids, attention_mask=mask, position_ids=places).logits
    assert difference(model(ids, attention_mask=mask).logits[mask.bool()], given[mask.bool()]) < ATOL


def test_the_other_caches_of_transformers_work(baichuan2_folder: Path) -> None:
    from transformers import StaticCache

    model, ids = load(baichuan2_folder), some_ids(20)
    cache = StaticCache(model.config, max_cache_len=64)
    first = model(ids[:, :12], past_key_values=cache).logits
    rest = [model(ids[:, n : n + 1], past_key_values=cache).logits for n in range(12, 20)]
    assert difference(torch.cat([first, *rest], dim=1), model(ids).logits) < ATOL


def test_generate_with_a_static_cache_is_generate(baichuan2_folder: Path) -> None:
    model = load(baichuan2_folder)
    ids, mask = padded([some_ids(9)[0], some_ids(5)[0]], "left")
    options: dict[str, Any] = {"do_sample": False, "max_new_tokens": 8, "repetition_penalty": 1.0}
    made = [
        model.generate(ids, attention_mask=mask, **options, **cache)
        for cache in ({}, {"cache_implementation": "static"}, {"use_cache": False})
    ]
    assert torch.equal(made[0], made[1])
    assert torch.equal(made[0], made[2])


def test_beyond_the_window_the_model_goes_on(baichuan2_folder: Path) -> None:
    ids = some_ids(WINDOW + 20)
    assert difference(load(baichuan2_folder)(ids).logits[0, -3:], expected(baichuan2_folder, ids)[-3:]) < ATOL


def test_a_decoding_step_makes_one_row_of_biases_for_all_layers(
    baichuan2_folders: dict[str, Path], monkeypatch: pytest.MonkeyPatch
) -> None:
    from transformers import DynamicCache

    from llm_server.baichuan2.alibi import Alibi

    shapes = []
    make = Alibi._make

    def noted(self: Alibi, queries: slice) -> Any:
        shapes.append(make(self, queries).shape)
        return make(self, queries)

    model, cache = load(baichuan2_folders["13b"]), DynamicCache()
    model(some_ids(20), past_key_values=cache)
    monkeypatch.setattr(Alibi, "_make", noted)
    model(some_ids(1), attention_mask=torch.ones(1, 21), past_key_values=cache)
    assert shapes == [(1, 10, 1, 21)]


def test_a_mask_that_leaves_out_the_cache_is_refused(baichuan2_folders: dict[str, Path]) -> None:
    from transformers import DynamicCache

    model, cache = load(baichuan2_folders["13b"]), DynamicCache()
    model(some_ids(20), past_key_values=cache)
    with pytest.raises(ValueError, match=r"\(1, 1\), not \(batch, 21\)"):
        model(some_ids(1), attention_mask=torch.ones(1, 1), past_key_values=cache)


@pytest.mark.parametrize("dtype", ["bfloat16", "float16"])
def test_half_precision_stays_near_at_far_positions(baichuan2_folders: dict[str, Path], dtype: str) -> None:
    """The published code's bias, slope * key's position, is off by whole units here: its error is 10 times this."""
    folder, ids = baichuan2_folders["13b"], some_ids(2048)
    exact = load(folder)(ids, logits_to_keep=64).logits[0]
    half = load(folder, dtype=getattr(torch, dtype))(ids, logits_to_keep=64).logits[0].float()
    assert float((half - exact).pow(2).mean().sqrt()) < 0.03 * float(exact.std())


def test_biases_near_a_far_query_are_exact_in_half_precision() -> None:
    from llm_server.baichuan2.alibi import Alibi, slopes

    alibi = Alibi(40, 1, 4000, None, dtype=torch.bfloat16, device=torch.device("cpu"))
    near = alibi.bias(slice(0, 1))[0, :, 0, -8:].float()
    exact = torch.tensor(slopes(40))[:, None] * torch.arange(-7, 1)
    assert difference(near, exact) < 0.02
