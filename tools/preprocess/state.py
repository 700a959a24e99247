"""What the last runs left in the output folder: `.preprocess.jsonl`, one line an event, the last one of a file counts.

A line without an entry says that passages of a file are about to be written: after a kill the next run knows that they
may be there and makes them good.
"""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from tools.preprocess.entries import Entry

NAME = ".preprocess.jsonl"


@dataclass(frozen=True)
class Known:
    """One input as it was when its passages were written."""

    sha256: str
    options: str
    """Hash of all that decides the output besides the content."""
    sizes: Mapping[str, int]
    """Output file -> bytes."""
    entry: Entry


class State:
    """The known inputs of one output folder, by their relative path."""

    def __init__(self, folder: Path) -> None:
        self._path = folder / NAME
        self._known: dict[str, Known | None] = {}
        if self._path.is_file():
            for line in self._path.read_text("utf-8").splitlines():
                self._replay(line)

    def _replay(self, line: str) -> None:
        try:
            event = json.loads(line)
            known = event.get("known")
            if event.get("gone"):
                self._known.pop(event["file"], None)
            else:
                self._known[event["file"]] = _from_json(known) if known else None
        except (ValueError, KeyError, TypeError):  # a line that a kill cut short, or one of another version
            return

    def files(self) -> list[str]:
        """All inputs that passages may be there of."""
        return sorted(self._known)

    def get(self, file: str) -> Known | None:
        """None for a file that is new, or whose passages are not whole."""
        return self._known.get(file)

    def begin(self, file: str) -> None:
        """Before the first passage of a file is written."""
        self._known[file] = None
        self._append({"file": file})

    def finish(self, file: str, known: Known) -> None:
        """After the last one."""
        self._known[file] = known
        self._append({"file": file, "known": _to_json(known)})

    def forget(self, file: str) -> None:
        """After its passages are removed."""
        self._known.pop(file, None)
        self._append({"file": file, "gone": True})

    def compact(self) -> None:
        """Rewrite the events as one line a file, in a fixed order."""
        lines = (
            json.dumps({"file": file, "known": _to_json(known)} if known else {"file": file})
            for file, known in sorted(self._known.items())
        )
        fresh = self._path.with_suffix(".new")
        fresh.write_text("".join(f"{line}\n" for line in lines), "utf-8")
        fresh.replace(self._path)

    def _append(self, event: Mapping[str, Any]) -> None:
        with self._path.open("a", encoding="utf-8") as file:
            file.write(json.dumps(event) + "\n")


def _to_json(known: Known) -> dict[str, Any]:
    return {
        "sha256": known.sha256, "options": known.options, "sizes": dict(known.sizes), "entry": known.entry.to_json(),
    }  # fmt: skip


def _from_json(data: Mapping[str, Any]) -> Known:
    return Known(data["sha256"], data["options"], data["sizes"], Entry.from_json(data["entry"]))
