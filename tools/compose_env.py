"""`make env`: writes `.env` for docker-compose with a generated Elasticsearch password. Keeps one that is there."""

import os
import secrets
from pathlib import Path

from service_kit.settings import load_settings
from tools.console import run_tool, speaker

NAME = "ELASTIC_PASSWORD"


def main() -> int:
    say, path = speaker(load_settings()), Path(".env")
    present = path.read_text("utf-8") if path.exists() else ""
    if any(line.startswith(f"{NAME}=") and line != f"{NAME}=" for line in present.splitlines()):
        say(".env 已有密码，未改动", ".env already holds a password; left as it is")
        return 0
    # Only its owner may read it, from the first byte on.
    with os.fdopen(os.open(path, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o600), "w", encoding="utf-8") as file:
        path.chmod(0o600)  # it may have been there, open to all
        file.write(("\n" if present and not present.endswith("\n") else "") + f"{NAME}={secrets.token_urlsafe(24)}\n")
    say(".env 已写入随机密码（ELASTIC_PASSWORD）", ".env now holds a random ELASTIC_PASSWORD")
    return 0


if __name__ == "__main__":
    run_tool(main)
