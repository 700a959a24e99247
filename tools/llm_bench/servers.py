"""llm_server processes that run SmolLM2 on one compute thread."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator
from contextlib import contextmanager

import psutil
import requests

from tools.llm_bench.clients import Server
from tools.ports import free_port

START_TIMEOUT_S = 300


@contextmanager
def server(engine: str, precision: str) -> Iterator[Server]:
    """Raises RuntimeError with the end of its log if it does not start."""
    port = free_port()
    env = os.environ | {
        "YIJU_ENGINE": engine, "YIJU_MODEL": "smollm2", "YIJU_PRECISION": precision, "YIJU_LLM_PORT": str(port),
        "YIJU_COMPUTE_THREADS": "1", "OMP_NUM_THREADS": "1", "YIJU_GENERATE_TIMEOUT_S": "1800", "YIJU_DEVICE": "cpu",
        "YIJU_QUEUE_LIMIT": "100", "YIJU_API_KEYS": "",
    }  # fmt: skip
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen([sys.executable, "-m", "llm_server"], env=env, stdout=log, stderr=log)
        try:
            url = f"http://127.0.0.1:{port}"
            limit = time.monotonic() + START_TIMEOUT_S
            while not _is_ready(url):
                if process.poll() is not None or time.monotonic() > limit:
                    log.seek(0)
                    raise RuntimeError(f"llm_server did not start: {log.read().decode()[-2000:]}")
                time.sleep(0.2)
            watched = psutil.Process(process.pid)
            yield Server(engine, url, lambda: sum(watched.cpu_times()[:2]))
        finally:
            process.terminate()
            process.wait(60)


def _is_ready(url: str) -> bool:
    try:
        return requests.get(f"{url}/readyz", timeout=5).ok
    except requests.RequestException:
        return False
