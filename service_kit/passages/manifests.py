"""Which manifest is whose: each index that is kept beside the one that is searched keeps its own.

`manifest.sqlite` is that of the index that was searched last, `manifest-<index id>.sqlite` are those of others. The
engine alone says which index is searched now; whoever writes calls `take_up` first, so that a rebuild or a rollback is
done the moment the engine has done it, and a kill between the two does no harm.
"""

from contextlib import closing
from pathlib import Path

from service_kit.passages.index import IndexIds
from service_kit.passages.manifest import FILE_NAME, Manifest


def waiting_name(index_id: str) -> str:
    """File name of the manifest of an index that is not searched now."""
    return f"manifest-{index_id}.sqlite"


def take_up(data: Path, ids: IndexIds) -> None:
    """Make the manifest of the index that is searched the one that `Manifest(data)` opens. With the indexing lock."""
    if ids.serving is None:
        return
    waiting = data / waiting_name(ids.serving)
    if not waiting.exists():
        return
    with closing(Manifest(data)) as manifest:  # which makes good what a killed process left half written
        last = manifest.index_id
    if last is not None:
        (data / FILE_NAME).replace(data / waiting_name(last))
    waiting.replace(data / FILE_NAME)


def peek(data: Path, ids: IndexIds) -> Manifest | None:
    """The manifest that `take_up` would make the one in use, to read only; see `Manifest.peek`."""
    if ids.serving is not None and (data / waiting_name(ids.serving)).exists():
        return Manifest.peek(data, waiting_name(ids.serving))
    return Manifest.peek(data)


def keep_copy(data: Path, manifest: Manifest, ids: IndexIds) -> None:
    """Before a manifest is reset: when the index that it describes is still there, its manifest waits with it."""
    last = manifest.index_id
    if last is not None and last in ids.all:
        waiting = data / waiting_name(last)
        waiting.unlink(missing_ok=True)
        manifest.copy_to(waiting)


def drop(data: Path, index_id: str) -> None:
    """The index is gone; so is the manifest that waited with it."""
    (data / waiting_name(index_id)).unlink(missing_ok=True)
