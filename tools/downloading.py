"""Gets files over HTTP: goes on where it was cut off, and keeps nothing whose size or hash is wrong."""

import hashlib
import os
import shutil
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import requests
from tqdm import tqdm

from service_kit.errors import DependencyDown, InvalidRequest, NotFound

CHUNK = 1024 * 1024
PIECE = 16 * 1024
"""Bytes taken from a connection at once; what comes of a piece before a break is lost."""
TIMEOUT_S = (10, 60)
"""To connect, and between two pieces of an answer."""
ATTEMPTS = 5
"""How often one file's connection may break with nothing new having come."""
BACKOFF_S = 1.0
"""The wait after the first break with nothing new; it doubles with each further one."""
DISK_RESERVE = 256 * 1024 * 1024
"""Bytes that stay free."""


class DownloadFailed(DependencyDown):
    """A file did not come, or came damaged; what is whole stays, and the same command goes on."""

    code = "download_failed"


@dataclass(frozen=True)
class RemoteFile:
    """One file of a repository, as its hub describes it."""

    path: str
    size: int
    """Bytes."""
    hash_kind: Literal["sha256", "git"]
    """`git`: SHA-1 of `blob SIZE\\0` and the bytes."""
    hash: str
    url: str


def get_json(session: requests.Session, url: str) -> tuple[Any, dict[str, Any]]:
    """What the hub answers, and its `Link` header.

    Raises:
        DownloadFailed: no connection, or no JSON.
        NotFound: no such repository, or it is not public.
    """
    try:
        response = session.get(url, timeout=TIMEOUT_S)
    except requests.RequestException as error:
        raise _offline(url, error) from None
    if response.status_code in (401, 403, 404):
        raise NotFound(
            f"没有这个仓库，或它不公开：{url}（HTTP {response.status_code}）",
            f"No such repository, or it is not public: {url} (HTTP {response.status_code})",
        )
    try:
        response.raise_for_status()
        return response.json(), dict(response.links)
    except requests.RequestException as error:
        raise _offline(url, error) from None


def require_space(files: Sequence[RemoteFile], folder: Path) -> None:
    """Raises DownloadFailed when the disk has no room for what is still missing."""
    missing = sum(file.size - _there(folder, file) for file in files)
    free = shutil.disk_usage(folder).free
    if missing + DISK_RESERVE > free:
        raise DownloadFailed(
            f"磁盘空间不足：{folder} 还需 {gib(missing)}，空闲 {gib(free)}",
            f"Not enough disk space: {folder} needs {gib(missing)} more, {gib(free)} are free",
        )


def fetch(session: requests.Session, file: RemoteFile, folder: Path) -> bool:
    """Bring `file` into `folder`; False when it is there already. Shows a bar for what comes.

    Raises:
        DownloadFailed: the connection broke too often, or the bytes are not those the hub announced.
        InvalidRequest: the file's path leads out of the folder.
    """
    target = _inside(folder, file.path)
    if target.is_file() and target.stat().st_size == file.size and hash_of(target, file) == file.hash:
        return False
    target.parent.mkdir(parents=True, exist_ok=True)
    part = part_of(target)
    if part.exists() and part.stat().st_size > file.size:
        part.unlink()
    with tqdm(total=file.size, desc=file.path, unit="B", unit_scale=True, unit_divisor=1024, disable=None) as bar:
        _receive(session, file, part, bar)
    if hash_of(part, file) != file.hash:
        part.unlink()  # going on from damaged bytes would never end well
        raise DownloadFailed(
            f"{file.path} 的校验和不符，已删除，请重试",
            f"{file.path} has another hash than announced; deleted, try again",
        )
    part.replace(target)
    return True


def hash_of(path: Path, file: RemoteFile) -> str:
    """The hash of what is on disk, of the kind that `file` has."""
    digest = hashlib.sha256() if file.hash_kind == "sha256" else hashlib.sha1(usedforsecurity=False)
    if file.hash_kind == "git":
        digest.update(b"blob %d\0" % path.stat().st_size)
    options: dict[str, Any] = {"unit": "B", "unit_scale": True, "unit_divisor": 1024, "leave": False, "disable": None}
    with path.open("rb") as stream, tqdm(total=path.stat().st_size, desc=f"✓ {file.path}", **options) as bar:
        while piece := stream.read(CHUNK):
            digest.update(piece)
            bar.update(len(piece))
    return digest.hexdigest()


def part_of(target: Path) -> Path:
    """Where a file lies until it is whole."""
    return target.with_name(target.name + ".part")


def gib(size: int) -> str:
    return f"{size / 2**30:.1f} GiB"


def _receive(session: requests.Session, file: RemoteFile, part: Path, bar: "tqdm[Any]") -> None:
    failures = 0
    while True:
        have = part.stat().st_size if part.exists() else 0
        bar.n = have
        bar.refresh()
        if have == file.size:
            part.touch()
            return
        try:
            _append(session, file, part, have, bar)
        except requests.RequestException as error:
            came = part.exists() and part.stat().st_size > have
            failures = 0 if came else failures + 1
            if failures >= ATTEMPTS:
                raise _offline(file.url, error) from None
            if failures:
                time.sleep(BACKOFF_S * 2 ** (failures - 1))
            continue
        if part.stat().st_size != file.size:
            # The server ended early without an error, or sends another file than it lists.
            failures += 1
            if failures >= ATTEMPTS or part.stat().st_size > file.size:
                size = part.stat().st_size
                part.unlink()
                raise DownloadFailed(
                    f"{file.path} 应有 {file.size} 字节，收到 {size}，已删除，请重试",
                    f"{file.path} should have {file.size} bytes, {size} came; deleted, try again",
                )


def _append(session: requests.Session, file: RemoteFile, part: Path, have: int, bar: "tqdm[Any]") -> None:
    headers = {"Range": f"bytes={have}-"} if have else {}
    # Compressed, the bytes would not be those that the offset counts.
    headers["Accept-Encoding"] = "identity"
    with session.get(file.url, headers=headers, stream=True, timeout=TIMEOUT_S) as response:
        response.raise_for_status()
        goes_on = response.status_code == requests.codes.partial_content
        if have and not goes_on:
            bar.n = 0  # a server without ranges begins anew
        with part.open("ab" if goes_on else "wb") as stream:
            for piece in response.iter_content(PIECE):
                stream.write(piece)
                bar.update(len(piece))


def _there(folder: Path, file: RemoteFile) -> int:
    target = _inside(folder, file.path)
    for path in (target, part_of(target)):
        if path.is_file():
            return min(path.stat().st_size, file.size)
    return 0


def _inside(folder: Path, path: str) -> Path:
    target = Path(os.path.normpath(folder / path))
    if not target.is_relative_to(folder):
        raise InvalidRequest(f"文件路径越出目录：{path}", f"The file's path leads out of the folder: {path}")
    return target


def _offline(url: str, error: Exception) -> DownloadFailed:
    return DownloadFailed(
        f"连接不上 {url}（{type(error).__name__}）。没有网络时，可在别的机器上下载后把文件夹拷来，"
        "设 YIJU_MODEL=文件夹；"
        "国内可试 --source modelscope，或设 HF_ENDPOINT 为镜像。重新运行会接着下载",
        f"Can not reach {url} ({type(error).__name__}). Without a network: download on another machine, copy the "
        "folder and set YIJU_MODEL to it. In China try --source modelscope, or set HF_ENDPOINT to a mirror. "
        "Running this again goes on where it stopped",
    )
