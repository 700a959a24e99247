"""Finds the documents under a folder."""

import os
import stat
from dataclasses import dataclass
from pathlib import Path

from service_kit.errors import InvalidRequest

_NO_DOCUMENTS = {"thumbs.db", "desktop.ini"}


@dataclass(frozen=True)
class Listing:
    """Paths relative to the folder, sorted; `whole`: nothing under it stayed unseen."""

    files: tuple[Path, ...]
    whole: bool


def list_documents(root: Path, leave_out: Path) -> Listing:
    """All regular files at any depth, but for hidden ones, Office's lock files (~$…) and what lies below `leave_out`.

    Links to folders are not followed.

    Raises:
        InvalidRequest: no such folder.
    """
    if not root.is_dir():
        raise InvalidRequest(f"没有目录 {root}", f"No directory {root}")
    files: list[Path] = []
    faults: list[OSError] = []
    for parent, folders, names in os.walk(root, onerror=faults.append):
        folders[:] = [name for name in folders if not name.startswith(".") and Path(parent, name) != leave_out]
        for name in names:
            if name.startswith((".", "~$")) or name.lower() in _NO_DOCUMENTS:
                continue
            path = Path(parent, name)
            if _is_regular(path):
                files.append(path.relative_to(root))
    return Listing(tuple(sorted(files, key=bytes)), not faults)


def _is_regular(path: Path) -> bool:
    """Opening a pipe would wait for ever. A broken link counts: reading it names the fault."""
    try:
        return stat.S_ISREG(path.stat().st_mode)
    except OSError:
        return True
