"""The GPU bench: reduced on the CPU, honest without a GPU, and full size where there is one."""

import json
from pathlib import Path
from typing import Any

import pytest

from service_kit.errors import InvalidRequest
from tools import bench_gpu

pytestmark = pytest.mark.slow

torch = pytest.importorskip("torch")


def test_without_a_gpu_it_says_so_and_measures_nothing(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("YIJU_LANG", "en")
    assert bench_gpu.main(["--json", str(tmp_path / "figures.json")]) == 2
    assert "nothing was measured" in capsys.readouterr().out
    assert not (tmp_path / "figures.json").exists()


def test_the_reduced_run_fills_the_table(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    monkeypatch.setattr(torch.cuda, "is_available", lambda: False)
    monkeypatch.setenv("YIJU_LANG", "en")
    path = tmp_path / "figures.json"
    options = ["--reduced", "--prompt-tokens", "16", "--new-tokens", "4", "--rounds", "1", "--precision", "fp32,bf16"]
    assert bench_gpu.main([*options, "--json", str(path)]) == 0
    figures = json.loads(path.read_text())
    assert figures["device"].startswith("CPU")
    assert [run["precision"] for run in figures["runs"]] == ["fp32", "bf16"]
    for run in figures["runs"]:
        assert [row["clients"] for row in run["clients"]] == [1, 3, 5, 10]
        assert run["clients"][0]["ratio"] == 1
        assert all(row["decode_tokens_per_s"] > 0 for row in run["clients"])
    assert figures["runs"][0]["loaded_gib"] == pytest.approx(2 * figures["runs"][1]["loaded_gib"], abs=0.002)
    assert "new tokens/s" in capsys.readouterr().out


@pytest.mark.parametrize(("precision", "layer"), [("8bit", "Linear8bitLt"), ("4bit", "Linear4bit")])
def test_a_quantized_random_model_is_as_a_loaded_one_would_be(precision: str, layer: str) -> None:
    pytest.importorskip("bitsandbytes")
    from tools.random_model import REDUCED, make_random_model

    model: Any = make_random_model(REDUCED, precision, "cpu")
    kinds = {name.rsplit(".", 1)[1]: type(module).__name__ for name, module in model.named_modules() if "." in name}
    assert {name for name, kind in kinds.items() if kind == layer} == {
        "W_pack", "o_proj", "gate_proj", "up_proj", "down_proj",
    }  # fmt: skip
    exact: Any = make_random_model(REDUCED, "fp32", "cpu")
    ids = torch.arange(100, 120)[None]
    with torch.inference_mode():
        found, expected = (m(ids).logits.float().flatten() for m in (model, exact))
    assert float(torch.corrcoef(torch.stack([found, expected]))[0, 1]) > 0.95


@pytest.mark.parametrize("options", [["--precision", "int3"], ["--new-tokens", "1"], ["--rounds", "0"]])
def test_bad_options_are_refused(options: list[str]) -> None:
    with pytest.raises(InvalidRequest):
        bench_gpu.main(["--reduced", *options])


def test_the_full_size_runs_on_a_card(tmp_path: Path) -> None:
    if not torch.cuda.is_available() or torch.cuda.mem_get_info()[0] < 20 * 2**30:
        pytest.skip("DID NOT RUN: the 13B needs an NVIDIA card with 20 GiB free, and there is none here")
    path = tmp_path / "figures.json"
    options = ["--precision", "8bit", "--new-tokens", "16", "--rounds", "1", "--json", str(path)]
    assert bench_gpu.main(options) == 0
    assert json.loads(path.read_text())["runs"][0]["loaded_gib"] == pytest.approx(14.1, abs=0.4)
