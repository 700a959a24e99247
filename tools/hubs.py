"""Where a model's files can be had: Hugging Face, ModelScope, or a mirror that speaks Hugging Face's protocol."""

import os
from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any, Protocol
from urllib.parse import quote, urlsplit

import requests

from service_kit.errors import InvalidRequest
from tools.downloading import RemoteFile, get_json

HF_ENDPOINT = "https://huggingface.co"
MODELSCOPE_ENDPOINT = "https://modelscope.cn"


class Hub(Protocol):
    """Knows which files a repository has."""

    def files(self, session: requests.Session, repo: str) -> list[RemoteFile]:
        """All files of `repo`. Raises DependencyDown, NotFound."""


def choose_hub(source: str) -> Hub:
    """`hf` (at `HF_ENDPOINT` if that is set), `modelscope`, or the address of a mirror of Hugging Face.

    Raises:
        InvalidRequest: none of these.
    """
    if source == "hf":
        return HuggingFace(os.environ.get("HF_ENDPOINT") or HF_ENDPOINT)
    if source == "modelscope":
        return ModelScope(MODELSCOPE_ENDPOINT)
    if urlsplit(source).scheme in ("http", "https"):
        return HuggingFace(source)
    raise InvalidRequest(
        f"--source {source}：应为 hf、modelscope 或 http(s) 地址",
        f"--source {source}: must be hf, modelscope or an http(s) address",
        allowed="hf | modelscope | URL",
    )


@dataclass(frozen=True)
class HuggingFace:
    """`/api/models/REPO/tree/REVISION` lists, `/REPO/resolve/REVISION/PATH` gives."""

    endpoint: str
    revision: str = "main"

    def files(self, session: requests.Session, repo: str) -> list[RemoteFile]:
        root = self.endpoint.rstrip("/")
        return [
            RemoteFile(
                path=entry["path"],
                size=int(entry["size"]),
                # A large file has the SHA-256 of its bytes, a small one only git's own hash.
                hash_kind="sha256" if "lfs" in entry else "git",
                hash=entry["lfs"]["oid"] if "lfs" in entry else entry["oid"],
                url=f"{root}/{repo}/resolve/{self.revision}/{quote(entry['path'])}",
            )
            for entry in self._entries(session, f"{root}/api/models/{repo}/tree/{self.revision}?recursive=true")
            if entry["type"] == "file"
        ]

    def _entries(self, session: requests.Session, url: str | None) -> Iterator[dict[str, Any]]:
        while url:
            page, links = get_json(session, url)
            yield from page
            url = links.get("next", {}).get("url")


@dataclass(frozen=True)
class ModelScope:
    """`/api/v1/models/REPO/repo/files` lists, `/api/v1/models/REPO/repo?FilePath=PATH` gives."""

    endpoint: str
    revision: str = "master"

    def files(self, session: requests.Session, repo: str) -> list[RemoteFile]:
        root = f"{self.endpoint.rstrip('/')}/api/v1/models/{repo}/repo"
        body, _ = get_json(session, f"{root}/files?Revision={self.revision}&Recursive=true")
        return [
            RemoteFile(
                path=entry["Path"],
                size=int(entry["Size"]),
                hash_kind="sha256",
                hash=entry["Sha256"],
                url=f"{root}?Revision={self.revision}&FilePath={quote(entry['Path'], safe='')}",
            )
            for entry in body["Data"]["Files"]
            if entry["Type"] == "blob"
        ]
