"""Which embedder the settings ask for."""

from importlib.util import find_spec
from typing import TYPE_CHECKING

from service_kit.errors import SettingsError
from service_kit.settings import Settings

if TYPE_CHECKING:
    from service_kit.dense.embedder import Embedder


def choose_embedder(settings: Settings) -> "Embedder | None":
    """None: search by words only; nothing heavy is imported then.

    Raises:
        SettingsError: the embedder needs a setting or a package that is not there.
        DependencyDown: e5 can not be loaded on this machine.
    """
    name = settings.embedder_name
    if name == "none":
        return None
    if not (find_spec("numpy") and find_spec("usearch")):
        raise SettingsError(
            f"YIJU_EMBEDDER={name} 需要 usearch，请运行 python3 tools/bootstrap.py vectors",
            f"YIJU_EMBEDDER={name} needs usearch; run python3 tools/bootstrap.py vectors",
        )
    if name == "e5":
        from service_kit.dense.e5 import E5Embedder  # noqa: PLC0415

        return E5Embedder(settings.embed_threads)
    if not settings.embed_model or (name == "openai" and not settings.embed_url):
        needed = "YIJU_EMBED_MODEL" if name == "local" else "YIJU_EMBED_MODEL 与/and YIJU_EMBED_URL"
        raise SettingsError(f"YIJU_EMBEDDER={name} 需要 {needed}", f"YIJU_EMBEDDER={name} needs {needed}")
    from service_kit.dense.prefixes import prefixes_of  # noqa: PLC0415
    from service_kit.dense.served import ServedEmbedder  # noqa: PLC0415

    prefixes = prefixes_of(settings.embed_model, settings.query_prefix, settings.passage_prefix)
    if name == "local":
        url, key = f"{settings.address('llm').url}/v1", settings.own_key
    else:
        url, key = settings.embed_url or "", settings.embed_key.get_secret_value() if settings.embed_key else None
    return ServedEmbedder(url, settings.embed_model, prefixes, key, budget_s=settings.embed_budget_s)
