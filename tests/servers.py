"""Real servers for tests: an app in a thread of this process, or a service as a process of its own."""

import os
import socket
import subprocess
import sys
import threading
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

import requests
from flask import Flask
from waitress.server import create_server
from waitress.wasyncore import close_all

from service_kit.web.serve import PACKAGES

START_TIMEOUT_S = 60.0


def free_port() -> int:
    """A port that nothing listens on now."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port: int = probe.getsockname()[1]
        return port


def wait_until(holds: Callable[[], bool], what: str, timeout_s: float = 20.0) -> None:
    """Return as soon as `holds()`; fail the test when it does not within `timeout_s`."""
    limit = time.monotonic() + timeout_s
    while not holds():
        if time.monotonic() > limit:
            raise AssertionError(f"not within {timeout_s} s: {what}")
        time.sleep(0.02)


@contextmanager
def served(app: Flask, port: int = 0) -> Iterator[str]:
    """The URL of `app`, served by waitress in a thread; `port` 0 is any free one."""
    # Reads ahead, as `serve.py` does, so that a client that hangs up is noticed.
    server = create_server(app, host="127.0.0.1", port=port, threads=8, channel_request_lookahead=1)
    thread = threading.Thread(target=server.run)
    thread.start()
    try:
        yield f"http://127.0.0.1:{server.effective_port}"
    finally:
        # Closed from inside its loop, open connections too: only then does the loop end. A loop that is awake
        # anyway may be quicker than the trigger, which it then has closed.
        with suppress(OSError):
            server.trigger.pull_trigger(lambda: close_all(server._map, ignore_all=True))
        server.task_dispatcher.shutdown()
        thread.join(10)
        assert not thread.is_alive()


def answers(url: str) -> bool:
    """Whether `GET url` gives a 2xx now."""
    try:
        return requests.get(url, timeout=2).ok
    except requests.RequestException:
        return False


@contextmanager
def service_process(
    service: str, env: dict[str, str], log: Path, ready: str = "/healthz"
) -> Iterator[subprocess.Popen[bytes]]:
    """`python -m <package>` with `env` added, from the moment that `ready` gives a 2xx."""
    port = env[f"YIJU_{service.upper()}_PORT"]
    with log.open("ab") as output:
        process = subprocess.Popen(
            [sys.executable, "-m", PACKAGES[service]],  # type: ignore[index]
            env=os.environ | env,
            stdout=output,
            stderr=output,
        )
        try:
            wait_until(
                lambda: answers(f"http://127.0.0.1:{port}{ready}") or process.poll() is not None,
                f"{service} gives {ready}",
                START_TIMEOUT_S,
            )
            assert process.poll() is None, log.read_text("utf-8", "replace")[-2000:]
            yield process
        finally:
            process.terminate()
            process.wait(20)
