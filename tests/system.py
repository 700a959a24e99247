"""Programs of the system that tests need: from the PATH, else by apt, else the test fails and says how to get them."""

import os
import shutil
import subprocess

import pytest


def need_command(command: str, package: str) -> str:
    """The path of `command`; installs Debian's `package` when it is missing."""
    path = shutil.which(command, path=f"{os.environ.get('PATH', '')}:/usr/sbin:/sbin")
    if path:
        return path
    root = [] if os.geteuid() == 0 else ["sudo", "-n"]
    if shutil.which("apt-get") and (not root or shutil.which("sudo")):
        for step in (["update", "-qq"], ["install", "-y", "-qq", "--no-install-recommends", package]):
            subprocess.run([*root, "apt-get", *step], check=False, capture_output=True, timeout=300)
        path = shutil.which(command, path="/usr/bin:/usr/sbin:/bin:/sbin")
    if not path:
        pytest.fail(f"this test needs {command}: apt-get install {package}")
    return path
