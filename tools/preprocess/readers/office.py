"""doc, wps, rtf, odt, xls, et, ods: LibreOffice makes docx or xlsx of them."""

import os
import resource
import shutil
import signal
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from tools.preprocess.errors import NeedsOffice
from tools.preprocess.formats import OFFICE

CONVERT_TIMEOUT_S = 60.0
_INSTALL = "apt-get install libreoffice-writer libreoffice-calc"


def converted(data: bytes, format_: str) -> tuple[bytes, str]:
    """The content as docx or xlsx, and which of them. No macro runs, nothing is fetched.

    Raises:
        NeedsOffice: LibreOffice is not installed, or could not convert the file.
    """
    program = shutil.which("soffice") or shutil.which("libreoffice")
    if program is None:
        raise NeedsOffice(
            f"{format_} 需要 LibreOffice（{_INSTALL}），或另存为 docx/xlsx",
            f"{format_} needs LibreOffice ({_INSTALL}); or save it as docx or xlsx",
        )
    target = OFFICE[format_]
    with tempfile.TemporaryDirectory() as folder:
        source = Path(folder, f"in.{format_}")
        source.write_bytes(data)
        command = [
            program, f"-env:UserInstallation=file://{folder}/profile", "--headless", "--norestore", "--nolockcheck",
            "--convert-to", target, "--outdir", folder, str(source),
        ]  # fmt: skip
        with _without_memory_limit():
            # A group of its own: soffice starts children, and all of them must end with it.
            process = subprocess.Popen(
                command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, start_new_session=True
            )
        try:
            process.wait(CONVERT_TIMEOUT_S)
        except subprocess.TimeoutExpired:
            pass
        finally:
            end_group(process)
        result = Path(folder, f"in.{target}")
        if not result.is_file():
            raise NeedsOffice(
                f"LibreOffice 无法转换此 {format_} 文件", f"LibreOffice can not convert this {format_} file"
            )
        return result.read_bytes(), target


@contextmanager
def _without_memory_limit() -> Iterator[None]:
    """LibreOffice reserves more address space than this process may; it has its time as limit."""
    soft, hard = resource.getrlimit(resource.RLIMIT_AS)
    resource.setrlimit(resource.RLIMIT_AS, (hard, hard))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_AS, (soft, hard))


def end_group(process: subprocess.Popen[bytes]) -> None:
    """End a process and all that it started."""
    if process.poll() is None:
        os.killpg(process.pid, signal.SIGKILL)
        process.wait()
