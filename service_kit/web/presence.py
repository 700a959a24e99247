"""Whether the client of the current request still waits for its answer."""

from collections.abc import Callable

from flask import request


def watch_client() -> Callable[[], bool]:
    """A function, usable from any thread, that says whether the current request's client has hung up.

    waitress provides it (`channel_request_lookahead` in `serve.py`); under another server nobody is ever gone.
    """
    is_gone: Callable[[], bool] = request.environ.get("waitress.client_disconnected", lambda: False)
    return is_gone
