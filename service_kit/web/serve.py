"""Runs one service in a production WSGI server (waitress) until SIGTERM or Ctrl-C."""

import argparse
import errno
import json
import logging
import os
import signal
import sqlite3
import sys
from collections.abc import Callable, Sequence
from types import FrameType
from typing import Any

from flask import Flask
from waitress.channel import HTTPChannel
from waitress.server import create_server
from waitress.task import ErrorTask

from service_kit.errors import YijuError
from service_kit.logs import event, setup_logging
from service_kit.settings import Service, Settings, load_settings, unknown_variables
from service_kit.web.keys import LOOPBACK

logger = logging.getLogger(__name__)

PACKAGES: dict[Service, str] = {
    "llm": "llm_server",
    "stream": "llm_stream_server",
    "search": "es_search",
    "rag": "rag_server",
}

CONNECTION_LIMIT = 1000
IDLE_CONNECTION_S = 30
"""A connection that says nothing for so long is closed; it holds no thread, but one of CONNECTION_LIMIT places."""

READ_LIMIT = 64 * 1024 * 1024
"""Bytes of a body that the server still reads, so that the app can answer 413 in JSON; beyond, it hangs up."""


def run_service(service: Service, create_app: Callable[[Settings], Flask], argv: Sequence[str] | None = None) -> int:
    """The body of each service's `__main__`: read the settings, build the app, serve. Returns the exit code."""
    parser = argparse.ArgumentParser(prog=f"python -m {PACKAGES[service]}")
    parser.add_argument("--port", type=int, help=f"端口 / port (YIJU_{service.upper()}_PORT)")
    parser.add_argument("--host", help=f"监听地址 / address to listen on (YIJU_{service.upper()}_HOST)")
    args = parser.parse_args(argv)
    given = {f"{service}_port": args.port, f"{service}_host": args.host}
    os.umask(0o077)  # what is written (index, trail) is for the service's own user
    try:
        settings = load_settings(**{name: value for name, value in given.items() if value is not None})
        setup_logging(service, settings.log_level)
        for name in unknown_variables():
            logger.warning("unknown setting %s is ignored", name)
        if not settings.accepted_keys and settings.address(service).host not in LOOPBACK | {"localhost"}:
            logger.warning("open to the network without a key: set YIJU_API_KEYS")
        event(logger, "settings", settings=settings.printable())
        app = create_app(settings)
    except YijuError as error:
        print(f"{error.words.zh}\n{error.words.en}", file=sys.stderr)
        return 2
    except (OSError, sqlite3.Error) as error:
        print(f"无法启动：{error}\nCan not start: {error}", file=sys.stderr)
        return 2
    return _serve(app, service, settings)


def _serve(app: Flask, service: Service, settings: Settings) -> int:
    address = settings.address(service)
    listeners: dict[int, Any] = {}
    try:
        server = create_server(
            app,
            map=listeners,
            host=address.host,
            port=address.port,
            threads=address.threads,
            max_request_body_size=READ_LIMIT,
            # Read ahead, so that a client that hangs up is noticed while its answer is being made.
            channel_request_lookahead=1,
            ident=None,
            # Kept, so that a forwarded request can be told from a local one (keys.py); no address is taken from them.
            clear_untrusted_proxy_headers=False,
            connection_limit=CONNECTION_LIMIT,
            channel_timeout=IDLE_CONNECTION_S,
        )
    except (OSError, ValueError) as error:  # ValueError: the host has no address
        busy = isinstance(error, OSError) and error.errno == errno.EADDRINUSE
        print(
            f"端口 {address.port} 已被占用，请用 --port 换一个"
            if busy
            else f"无法监听 {address.host}:{address.port}：{error}",
            f"Port {address.port} is in use; choose another with --port" if busy else f"Can not listen: {error}",
            sep="\n",
            file=sys.stderr,
        )
        return 1
    for listener in listeners.values():  # one for each address of the host
        if hasattr(listener, "channel_class"):
            listener.channel_class = _JsonErrors

    def stop(signum: int, frame: FrameType | None) -> None:
        raise SystemExit

    signal.signal(signal.SIGTERM, stop)
    event(logger, "listening", host=address.host, port=address.port, threads=address.threads)
    server.run()  # returns on SystemExit and Ctrl-C; requests in hand get five seconds
    event(logger, "stopped")
    return 0


class _JsonErrorTask(ErrorTask):  # type: ignore[misc]  # waitress has no types
    """What waitress itself refuses (malformed HTTP, over READ_LIMIT) answered in the form of all other errors."""

    def execute(self) -> None:
        fault = self.request.error
        error: dict[str, Any] = {"code": "bad_http", "message": f"{fault.reason}: {fault.body}".strip()}
        body = json.dumps({"error": error}, ensure_ascii=False).encode()
        self.status = f"{fault.code} {fault.reason}"
        self.response_headers.append(("Content-Type", "application/json"))
        self.set_close_on_finish()
        self.content_length = len(body)
        self.write(body)


class _JsonErrors(HTTPChannel):  # type: ignore[misc]
    error_task_class = _JsonErrorTask
