"""Writes the trail as the tutorial's `history.json`: `python -m tools.export_history [FILE]`.

Reads the store that `YIJU_SESSIONS` names itself (the database under `YIJU_DATA`, or Redis), so rag_server may be
running or not.
"""

import argparse
from pathlib import Path

from rag_server.store import as_json_array, as_tutorial, open_store
from rag_server.store.database import FILE_NAME
from service_kit.errors import NotFound
from service_kit.settings import load_settings
from tools.console import run_tool, speaker


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.export_history", description=__doc__)
    parser.add_argument("file", nargs="?", type=Path, default=Path("history.json"))
    target: Path = parser.parse_args().file
    settings = load_settings()
    in_file = settings.sessions.get_secret_value() == "sqlite"
    if in_file and not (settings.data / FILE_NAME).exists():
        raise NotFound(f"{settings.data} 下还没有问答记录", f"There is no trail under {settings.data} yet")
    partial = target.with_name(target.name + ".partial")
    with partial.open("w", encoding="utf-8") as file:
        for piece in as_json_array(map(as_tutorial, open_store(settings).entries())):
            file.write(piece)
    partial.replace(target)  # never a half-written history.json
    speaker(settings)(f"已写入 {target}", f"Wrote {target}")
    return 0


if __name__ == "__main__":
    run_tool(main)
