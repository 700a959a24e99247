"""The trail: every question with what was searched, found and answered. Only ever appended to."""

import json
import time
from collections.abc import Iterator
from typing import Any, NamedTuple

from rag_server.database import Database

_PAGE = 500


class Entry(NamedTuple):
    """One answered question."""

    trace_id: str
    session_id: str
    query: str
    new_query: str
    docs: tuple[str, ...]
    response: str
    retrieval: str
    answer_mode: str
    stopped: bool = False
    """The user stopped the answer: `response` is as far as it came."""


class Trail:
    """The trail in SQLite."""

    def __init__(self, database: Database) -> None:
        self._database = database

    def append(self, entry: Entry) -> None:
        """Write one entry; on disk when this returns."""
        values = entry._replace(docs=json.dumps(entry.docs, ensure_ascii=False))._asdict()  # type: ignore[arg-type]
        with self._database.transaction() as db:
            db.execute(
                """INSERT INTO trail (trace_id, session_id, time, query, new_query, docs, response, retrieval,
                   answer_mode, stopped) VALUES (:trace_id, :session_id, :time, :query, :new_query, :docs, :response,
                   :retrieval, :answer_mode, :stopped)""",
                {**values, "time": time.time()},
            )

    def entries(self) -> Iterator[dict[str, Any]]:
        """All entries, oldest first, with the keys of the tutorial's `history.json`; read page by page.

        An answer that was stopped has `"stopped": true` as well.
        """
        last = 0
        while True:
            rows = (
                self._database.connection()
                .execute(
                    "SELECT n, query, new_query, docs, response, retrieval, stopped FROM trail"
                    " WHERE n > ? ORDER BY n LIMIT ?",
                    (last, _PAGE),
                )
                .fetchall()
            )
            for n, query, new_query, docs, response, retrieval, stopped in rows:
                last = n
                yield {
                    "query": query,
                    "new_query": new_query,
                    "docs": json.loads(docs),
                    "response": response,
                    "retrieval": retrieval,
                    **({"stopped": True} if stopped else {}),
                }
            if len(rows) < _PAGE:
                return


def as_json_array(entries: Iterator[dict[str, Any]]) -> Iterator[str]:
    """`history.json` piece by piece: the tutorial's JSON array, however long the trail is."""
    yield "["
    before = "\n"
    for entry in entries:
        yield before + json.dumps(entry, ensure_ascii=False, indent=2)
        before = ",\n"
    yield "\n]\n"
