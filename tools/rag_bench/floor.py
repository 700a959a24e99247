"""What no rag_server can be quicker than: a bare route that reads and writes one session row in SQLite.

`python -m tools.rag_bench.floor PORT FILE`, on the WSGI server and in the SQLite modes of the services.
"""

import sqlite3
import sys
import threading

from flask import Flask, request
from waitress import serve

_local = threading.local()


def _database(path: str) -> sqlite3.Connection:
    if not hasattr(_local, "db"):
        _local.db = sqlite3.connect(path, timeout=10, isolation_level=None)
        _local.db.execute("PRAGMA journal_mode = WAL")
        _local.db.execute("PRAGMA synchronous = NORMAL")
        _local.db.execute("CREATE TABLE IF NOT EXISTS sessions (id TEXT PRIMARY KEY, content TEXT)")
    found: sqlite3.Connection = _local.db
    return found


def main() -> None:
    port, path = int(sys.argv[1]), sys.argv[2]
    app = Flask("floor")

    @app.post("/get_bot_response")
    def answer() -> dict[str, str]:
        session = str(request.get_json(force=True)["id"])
        db = _database(path)
        with db:
            db.execute("BEGIN IMMEDIATE")
            row = db.execute("SELECT content FROM sessions WHERE id = ?", (session,)).fetchone()
            db.execute("REPLACE INTO sessions VALUES (?, ?)", (session, (row[0] if row else "")[:50] + "x"))
        return {"response": "ok"}

    serve(app, host="127.0.0.1", port=port, threads=64, channel_request_lookahead=1, ident=None)


if __name__ == "__main__":
    main()
