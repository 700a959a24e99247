"""A background process of ours, found again by its pid file."""

import subprocess
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import psutil

STOP_TIMEOUT_S = 15.0
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
