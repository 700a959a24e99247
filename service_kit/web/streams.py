"""Streamed responses: pieces of text sent as they come."""

from collections.abc import Generator, Iterator

from flask import Response

_UNBUFFERED = {"X-Accel-Buffering": "no", "Cache-Control": "no-cache"}
"""nginx would else keep the pieces and send them in one lump."""


def streamed(pieces: Generator[str], content_type: str) -> Response:
    """A chunked response of `pieces`, closed as soon as the client is gone.

    Waits for the first piece: what prevents an answer is raised here and becomes a JSON error. An exception after it
    ends the connection without the final chunk, so that no client takes half an answer for a whole one.
    """
    first = next(pieces, None)

    def body() -> Iterator[str]:
        if first is not None:
            yield first
            yield from pieces

    response = Response(body(), content_type=content_type, headers=_UNBUFFERED)
    response.call_on_close(pieces.close)  # a body that was never begun has no `finally` that would run
    return response
