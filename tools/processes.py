"""Processes of ours: one in the background, found again by its pid file; one for the length of a block."""

import os
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

import psutil
import requests

STOP_TIMEOUT_S = 15.0
STOP_LIMIT_S = 60.0
"""A service with a model ends after its running step."""
POLL_S = 0.1
CLOCK_STEP_S = 5.0
"""A process's start time is told relative to the clock, which may have been set since."""


@dataclass(frozen=True)
class Background:
    """One process: its pid file, its log, and the module that it runs (`python -m <module>`)."""

    pid_file: Path
    log: Path
    module: str

    def start(self, python: str, env: Mapping[str, str], mark: str) -> None:
        """Start it, detached from the console; `mark` (one word) is kept beside the pid."""
        for path in (self.pid_file, self.log):
            path.parent.mkdir(parents=True, exist_ok=True)
        with self.log.open("ab") as log:
            process = subprocess.Popen(
                [python, "-m", self.module],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C goes to whoever started it, who stops it in order
                env=dict(env),
            )
        self.pid_file.write_text(f"{process.pid} {psutil.Process(process.pid).create_time()} {mark}")

    def find(self) -> psutil.Process | None:
        """The process, while it is alive."""
        try:
            pid, created, _ = self.pid_file.read_text().split()
            process = psutil.Process(int(pid))
            # A pid is used again after a while: start time and command tell whether it is still ours.
            ours = abs(process.create_time() - float(created)) < CLOCK_STEP_S and self.module in process.cmdline()
            return process if ours and process.status() != psutil.STATUS_ZOMBIE else None
        except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
            return None

    def mark(self) -> str | None:
        """The mark it was started with."""
        try:
            return self.pid_file.read_text().split()[2]
        except (FileNotFoundError, IndexError):
            return None

    def stop(self) -> bool:
        """SIGTERM, then SIGKILL when that is not enough. Whether it was running."""
        process = self.find()
        if process:
            process.terminate()
            try:
                process.wait(STOP_TIMEOUT_S)
            except psutil.TimeoutExpired:
                process.kill()
                process.wait(STOP_TIMEOUT_S)
        self.pid_file.unlink(missing_ok=True)
        return process is not None

    def last_lines(self, count: int = 5) -> str:
        """The end of its log."""
        if not self.log.exists():
            return ""
        return "\n".join(self.log.read_text("utf-8", "replace").splitlines()[-count:])


@contextmanager
def running(
    *command: str, env: Mapping[str, str], is_up: Callable[[], bool], start_s: float = 60.0
) -> Iterator["subprocess.Popen[bytes]"]:
    """`python -m` `command` with `env` beside this process' own variables, from the moment that `is_up`.

    Raises:
        OSError: it ended, or was not up after `start_s`; with the end of its log.
    """
    with tempfile.TemporaryFile() as log:
        process = subprocess.Popen([sys.executable, "-m", *command], env={**os.environ, **env}, stdout=log, stderr=log)
        try:
            limit = time.monotonic() + start_s
            while not is_up():
                if process.poll() is not None or time.monotonic() > limit:
                    log.seek(0)
                    raise OSError(f"{command[0]} did not start: {log.read().decode(errors='replace')[-2000:]}")
                time.sleep(POLL_S)
            yield process
        finally:
            process.terminate()
            process.wait(STOP_LIMIT_S)


def is_ready(url: str) -> bool:
    """Whether the service there says so."""
    try:
        return requests.get(f"{url}/readyz", timeout=5).ok
    except requests.RequestException:
        return False
