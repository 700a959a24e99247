"""A real Redis for tests: one of their own, or the one that `YIJU_TEST_REDIS_URL` names (its database is emptied)."""

import os
import signal
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from tests.servers import free_port, wait_until
from tests.system import need_command


@contextmanager
def redis_process(folder: Path, port: int, *, keep: bool = False) -> Iterator[subprocess.Popen[bytes]]:
    """A Redis on `port`; with `keep` it writes every change to `folder` before it answers."""
    command = [need_command("redis-server", "redis-server"), "--port", str(port), "--bind", "127.0.0.1", "--save", ""]
    options = ["--dir", str(folder), "--appendonly", "yes" if keep else "no", "--appendfsync", "always"]
    with (folder / "redis.log").open("ab") as log:
        process = subprocess.Popen([*command, *options], stdout=log, stderr=log)
    try:
        wait_until(lambda: _pings(f"redis://127.0.0.1:{port}"), "Redis answers")
        yield process
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(signal.SIGKILL)
        process.wait(10)


@contextmanager
def redis_url(folder: Path) -> Iterator[str]:
    """The URL of a Redis that tests may fill."""
    given = os.environ.get("YIJU_TEST_REDIS_URL")
    if given:
        yield given
        return
    port = free_port()
    with redis_process(folder, port):
        yield f"redis://127.0.0.1:{port}"


def _pings(url: str) -> bool:
    with suppress(RedisError), Redis.from_url(url) as redis:
        return bool(redis.ping())
    return False
