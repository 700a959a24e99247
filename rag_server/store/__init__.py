"""What outlives a turn: sessions and the trail. In SQLite, or in Redis for several rag_servers."""

from rag_server.store.opening import open_store
from rag_server.store.store import (
    HISTORY_LIMIT,
    Entry,
    Feedback,
    Period,
    Session,
    Store,
    as_json_array,
    as_tutorial,
)
from rag_server.turn import SessionKey

__all__ = [
    "HISTORY_LIMIT",
    "Entry",
    "Feedback",
    "Period",
    "Session",
    "SessionKey",
    "Store",
    "as_json_array",
    "as_tutorial",
    "open_store",
]
