"""The door to torch and transformers, opened only when a model is loaded: a service without one needs neither."""

import importlib.util

from llm_server.model.answer import Answer
from llm_server.model.loaded import LoadedModel
from llm_server.model.sampling import Choice
from service_kit.errors import ModelUnavailable
from service_kit.settings import Settings


def load_with_transformers(settings: Settings) -> LoadedModel:
    """Load `settings.model`; takes seconds to minutes.

    Raises:
        ModelUnavailable: no model is named, a package is missing, or the files can not be loaded.
    """
    if not settings.model:
        raise ModelUnavailable(
            f"YIJU_ENGINE={settings.engine_name} 需要 YIJU_MODEL",
            f"YIJU_ENGINE={settings.engine_name} needs YIJU_MODEL",
        )
    for package in ("torch", "transformers", "accelerate"):
        _require(package, "llm")
    if settings.precision in ("8bit", "4bit"):
        _require("bitsandbytes", "gpu")
    if settings.attention == "xformers":
        _require("xformers", "gpu")
    from llm_server.model.loading import load_model  # noqa: PLC0415

    return load_model(settings)


def generate_with_transformers(loaded: LoadedModel, prompt_ids: list[int], choice: Choice, answer: Answer) -> None:
    """See `generating.generate`."""
    from llm_server.model.generating import generate  # noqa: PLC0415

    generate(loaded, prompt_ids, choice, answer)


def _require(package: str, extra: str) -> None:
    if importlib.util.find_spec(package) is None:
        how = f"python3 tools/bootstrap.py {extra}"
        raise ModelUnavailable(f"缺少软件包 {package}，请安装：{how}", f"The package {package} is missing: {how}")
