"""The engine that the settings ask for."""

from llm_server.batch.engine import BatchEngine
from llm_server.engines.engine import Engine
from llm_server.engines.none import NoEngine
from llm_server.engines.openai import OpenAIEngine
from llm_server.engines.serial import SerialEngine
from service_kit.settings import Settings


def choose_engine(settings: Settings) -> Engine:
    """Return at once: a model that takes long to load is loaded in the background.

    Raises:
        SettingsError: the engine needs a setting that is not there.
    """
    match settings.engine_name:
        case "serial":
            return SerialEngine(settings)
        case "batch":
            return BatchEngine(settings)
        case "openai":
            return OpenAIEngine(settings)
        case "none":
            return NoEngine()
