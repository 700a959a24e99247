"""`python -m tools.elasticsearch_server` takes down what it started."""

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.servers import answers, wait_until


@contextmanager
def running(place: Path) -> Iterator[subprocess.Popen[bytes]]:
    """The command, with `place` as the folder for temporary files."""
    command = [sys.executable, "-m", "tools.elasticsearch_server", "--heap", "256m"]
    environment = {**os.environ, "TMPDIR": str(place)}
    with subprocess.Popen(command, env=environment, stdout=subprocess.PIPE) as process:
        try:
            yield process
        finally:
            process.kill()


def ended(process: subprocess.Popen[bytes]) -> int:
    return process.wait(60)


@pytest.mark.slow
@pytest.mark.parametrize("sign", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_the_server_and_removes_its_folder(tmp_path: Path, sign: signal.Signals) -> None:
    with running(tmp_path) as process:
        assert process.stdout
        url = process.stdout.readline().decode().strip().rpartition("=")[2]
        assert answers(f"{url}/_cluster/health")
        process.send_signal(sign)
        assert ended(process) == 0
        assert not answers(f"{url}/_cluster/health")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
def test_a_signal_while_it_starts(tmp_path: Path) -> None:
    with running(tmp_path) as process:
        wait_until(lambda: any(tmp_path.glob("*/server.log")), "the server is being started", 60)
        process.terminate()
        assert ended(process) == 0
    assert list(tmp_path.iterdir()) == []
