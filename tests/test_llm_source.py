"""What YIJU_MODEL may be."""

import importlib.util
from pathlib import Path

import pytest

from llm_server.model.source import ModelSource, find_model
from service_kit.errors import ModelUnavailable


def test_a_folder_is_named_after_itself(tmp_path: Path) -> None:
    folder = tmp_path / "Qwen2-7B"
    folder.mkdir()
    assert find_model(str(folder)) == ModelSource("Qwen2-7B", str(folder))


def test_a_gguf_file_is_its_folder_and_name(tmp_path: Path) -> None:
    (tmp_path / "small.gguf").touch()
    assert find_model(str(tmp_path / "small.gguf")) == ModelSource("small", str(tmp_path), "small.gguf")


def test_anything_else_is_a_hub_name() -> None:
    assert find_model("Qwen/Qwen2-7B") == ModelSource("Qwen/Qwen2-7B", "Qwen/Qwen2-7B")


@pytest.mark.parametrize("setting", ["/no/such", "./no", "../no", "~/no/such", "no/such.gguf"])
def test_a_path_that_is_not_there_is_no_hub_name(setting: str) -> None:
    with pytest.raises(ModelUnavailable, match="no such folder or file"):
        find_model(setting)


def test_smollm2_without_its_package_says_how_to_install_it(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(importlib.util, "find_spec", lambda name: None)
    with pytest.raises(ModelUnavailable, match=r"bootstrap\.py llm"):
        find_model("smollm2")
