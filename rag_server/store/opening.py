"""Which store: the setting `sessions`."""

from rag_server.store.redis_store import RedisStore
from rag_server.store.sqlite_store import SqliteStore
from rag_server.store.store import Store
from service_kit.settings import Settings


def open_store(settings: Settings) -> Store:
    """SQLite under `YIJU_DATA`, or the Redis that `YIJU_SESSIONS` names (not connected to yet)."""
    url = settings.sessions.get_secret_value()
    retention_s = settings.trail_days * 86_400 if settings.trail_days else None
    if url == "sqlite":
        return SqliteStore(settings.data, settings.session_idle_s, retention_s)
    return RedisStore(url, settings.session_idle_s, retention_s)
