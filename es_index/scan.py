"""Finds the text files under a directory and reads them, one at a time.

Files are strings, as `os` gives them: to make, hash and compare as many paths of pathlib takes as long as to read them.
"""

import errno
import os
import stat
from dataclasses import dataclass
from pathlib import Path, PurePath

from service_kit.errors import UnreachableFile, UnreadableFile
from service_kit.passages.passage import Passage
from service_kit.passages.txt_file import MAX_BYTES, parse, too_large


@dataclass(frozen=True)
class Listing:
    """The files under a directory, by path relative to it, sorted; and the sub-directories that could not be listed."""

    files: tuple[str, ...]
    faults: tuple[tuple[str, UnreadableFile], ...]

    @property
    def whole(self) -> bool:
        """Whether nothing under the directory stayed unseen."""
        return not self.faults


def list_files(directory: Path) -> Listing:
    """All `*.txt` (in any case) at any depth. Hidden files and directories are left out, links to directories not
    followed."""
    files: list[str] = []
    faults: list[tuple[str, UnreadableFile]] = []

    def keep(error: OSError) -> None:
        faults.append((os.path.relpath(error.filename, directory), _unreachable(error)))

    for parent, children, names in os.walk(directory, onerror=keep):
        children[:] = [name for name in children if not name.startswith(".")]
        below = os.path.relpath(parent, directory)
        under = "" if below == os.curdir else below + os.sep
        files += [under + name for name in names if name.lower().endswith(".txt") and not name.startswith(".")]
    return Listing(tuple(sorted(files, key=os.fsencode)), tuple(faults))


def read_passage(directory: Path, file: str) -> Passage:
    """The passage in one file, given by its path below the directory.

    Raises:
        UnreachableFile: it can not be opened.
        UnreadableFile: it holds no readable passage.
    """
    try:
        data = _read(directory, file)
    except OSError as error:
        raise _unreachable(error) from None
    return parse(data, readable_name(file))


def _read(directory: Path, file: str) -> bytes:
    """By hand and by `os`: pathlib takes as long as all else that is done to read a passage."""
    opened = _open(f"{directory}{os.sep}{file}", directory)
    try:
        facts = os.fstat(opened)
        if not stat.S_ISREG(facts.st_mode):
            raise UnreadableFile("不是普通文件", "Not a regular file")
        if facts.st_size > MAX_BYTES:
            raise too_large()
        data = os.read(opened, facts.st_size + 1)
        # As many bytes as there should be, though one more was asked for, are all: no second call to see the end.
        while len(data) != facts.st_size and (more := os.read(opened, facts.st_size + 1)):
            data += more
    finally:
        os.close(opened)
    return data


def _open(path: str, directory: Path) -> int:
    flags = os.O_RDONLY | os.O_CLOEXEC | os.O_NONBLOCK  # a pipe would wait for ever
    try:
        return os.open(path, flags | os.O_NOFOLLOW)
    except OSError as error:
        if error.errno != errno.ELOOP:
            raise
    if not Path(path).resolve().is_relative_to(directory):
        raise UnreadableFile("链接指向目录之外", "A link that leads out of the directory")
    return os.open(path, flags)


def readable_name(path: str | PurePath) -> str:
    """A path as text: names from other systems are GB18030 (what old Chinese archives hold) or show escapes."""
    text = str(path)
    try:
        text.encode()
    except UnicodeEncodeError:
        name = os.fsencode(path)
    else:
        return text
    for codec in ("utf-8", "gb18030"):
        try:
            return name.decode(codec)
        except UnicodeDecodeError:
            continue
    return name.decode("utf-8", "backslashreplace")


def _unreachable(error: OSError) -> UnreachableFile:
    reason = error.strerror or str(error)
    return UnreachableFile(f"读不了：{reason}", f"Can not be read: {reason}")
