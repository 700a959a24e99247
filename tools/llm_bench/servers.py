"""llm_server processes that run SmolLM2 on one compute thread."""

from collections.abc import Iterator
from contextlib import contextmanager

import psutil

from tools.llm_bench.clients import Server
from tools.ports import free_port
from tools.processes import is_ready, running

START_TIMEOUT_S = 300


@contextmanager
def server(engine: str, precision: str) -> Iterator[Server]:
    """Raises OSError with the end of its log if it does not start."""
    port = free_port()
    env = {
        "YIJU_ENGINE": engine, "YIJU_MODEL": "smollm2", "YIJU_PRECISION": precision, "YIJU_LLM_PORT": str(port),
        "YIJU_COMPUTE_THREADS": "1", "OMP_NUM_THREADS": "1", "YIJU_GENERATE_TIMEOUT_S": "1800", "YIJU_DEVICE": "cpu",
        "YIJU_QUEUE_LIMIT": "100", "YIJU_API_KEYS": "",
    }  # fmt: skip
    url = f"http://127.0.0.1:{port}"
    with running("llm_server", env=env, is_up=lambda: is_ready(url), start_s=START_TIMEOUT_S) as process:
        watched = psutil.Process(process.pid)
        yield Server(engine, url, lambda: sum(watched.cpu_times()[:2]))
