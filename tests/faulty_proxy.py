"""A proxy before Elasticsearch that answers some bulks as an overloaded server does, or passes them on only in part."""

import json
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import requests
from flask import Flask, Response, request

from tests.servers import served

Fault = Callable[[int], str | None]
"""What becomes of the nth bulk, from 1: `429`, `503` refuses it; `items` refuses every third document of it; `lost`
does it, and answers 502; None passes it on."""

_OVERLOAD = {"type": "es_rejected_execution_exception", "reason": "rejected execution of coordinating operation"}


@contextmanager
def faulty_proxy(upstream: str, fault: Fault) -> Iterator[str]:
    """The URL of the proxy."""
    app = Flask(__name__)
    session = requests.Session()
    bulks = iter(range(1, 1_000_000))

    def passed_on(body: bytes) -> Response:
        headers = {name: value for name, value in request.headers if name in ("Content-Type", "Accept")}
        answer = session.request(
            request.method, f"{upstream}{request.full_path.rstrip('?')}", data=body, headers=headers, timeout=30
        )
        kept = {name: answer.headers[name] for name in ("Content-Type", "X-Elastic-Product") if name in answer.headers}
        return Response(answer.content, answer.status_code, kept)

    @app.route("/", defaults={"path": ""}, methods=["GET", "HEAD", "POST", "PUT", "DELETE"])
    @app.route("/<path:path>", methods=["GET", "HEAD", "POST", "PUT", "DELETE"])
    def pass_on(path: str) -> Response:
        body = request.get_data()
        kind = fault(next(bulks)) if path.endswith("_bulk") else None
        if kind == "items":
            return refused_in_part(body)
        if kind in ("429", "503"):
            return refused(int(kind))
        answer = passed_on(body)
        return refused(502) if kind == "lost" else answer

    def refused(status: int) -> Response:
        return Response(json.dumps({"error": _OVERLOAD, "status": status}), status, content_type="application/json")

    def refused_in_part(body: bytes) -> Response:
        lines = body.rstrip(b"\n").split(b"\n")
        pairs = [b"\n".join(lines[at : at + 2]) + b"\n" for at in range(0, len(lines), 2)]  # of documents to store
        kept = [pair for at, pair in enumerate(pairs) if at % 3]
        answer = passed_on(b"".join(kept)) if kept else None
        done = iter(answer.get_json()["items"] if answer else ())
        items = [next(done) if at % 3 else {"index": {"status": 429, "error": _OVERLOAD}} for at in range(len(pairs))]
        headers = {"X-Elastic-Product": "Elasticsearch"}
        return Response(json.dumps({"errors": True, "items": items}), 200, headers, content_type="application/json")

    with served(app) as url:
        yield url
    session.close()
