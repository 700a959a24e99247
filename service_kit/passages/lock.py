"""One indexer at a time."""

import os
import socket
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock, Timeout

from service_kit.errors import IndexLocked


@contextmanager
def indexing_lock(data: Path) -> Iterator[None]:
    """Hold the right to write the index and the manifest under `data`. A killed process holds it no more.

    Raises:
        IndexLocked: another process holds it; the message names its pid and host (a network folder has several).
    """
    data.mkdir(parents=True, exist_ok=True)
    path = data / "index.lock"
    try:
        with FileLock(path, timeout=0):
            path.write_text(f"{os.getpid()} {socket.gethostname()}")
            yield
    except Timeout:
        pid, _, host = path.read_text().strip().partition(" ")
        pid, host = pid or "?", host or "?"
        raise IndexLocked(
            f"另一个 es_index 进程（主机 {host}，pid {pid}）正在写索引，等它结束后再运行",
            f"Another es_index process (pid {pid} on {host}) is writing the index; run again when it has ended",
            details={"pid": pid, "host": host},
        ) from None
