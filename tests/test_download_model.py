"""The downloader against a small hub on this machine: whole, cut off, damaged, twice, too big, unreachable."""

import hashlib
import json
import shutil
from collections import Counter
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from threading import Thread
from typing import Any
from urllib.parse import parse_qs, urlsplit

import pytest

from service_kit.errors import InvalidRequest, NotFound
from tools import downloading
from tools.download_model import main
from tools.downloading import DownloadFailed

REPO = "baichuan-inc/Tiny"
WEIGHTS = bytes(range(256)) * 2000


class FakeHub:
    """Speaks Hugging Face's and ModelScope's protocols for one repository, and misbehaves on demand."""

    def __init__(self) -> None:
        self.files = {"config.json": b'{"model_type": "baichuan"}', "pytorch_model.bin": WEIGHTS, "modeling.py": b"1"}
        self.asked: list[tuple[str, str | None]] = []
        self.cuts: list[int] = []
        """After how many bytes to hang up, one for each next answer with weights."""
        self.damaged = False
        self.knows_ranges = True
        self.page_size = 2
        hub = self

        class Handler(BaseHTTPRequestHandler):
            def do_GET(self) -> None:
                hub.answer(self)

            def log_message(self, *args: Any) -> None:
                pass

        self.server = ThreadingHTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}"
        Thread(target=self.server.serve_forever, kwargs={"poll_interval": 0.01}, daemon=True).start()

    def answer(self, request: BaseHTTPRequestHandler) -> None:
        parts = urlsplit(request.path)
        query = {name: values[0] for name, values in parse_qs(parts.query).items()}
        self.asked.append((parts.path, request.headers.get("Range")))
        if parts.path == f"/api/models/{REPO}/tree/main":
            return self.list_hf(request, int(query.get("cursor", 0)))
        if parts.path == f"/api/v1/models/{REPO}/repo/files":
            return self.send_json(request, {"Data": {"Files": self.modelscope_entries()}})
        if parts.path == f"/api/v1/models/{REPO}/repo":
            return self.send_file(request, query["FilePath"])
        if parts.path.startswith(f"/{REPO}/resolve/main/"):
            return self.send_file(request, parts.path.removeprefix(f"/{REPO}/resolve/main/"))
        return request.send_error(404)

    def list_hf(self, request: BaseHTTPRequestHandler, start: int) -> None:
        entries: list[dict[str, Any]] = [{"type": "directory", "path": "sub", "size": 0, "oid": "0"}]
        for path, content in self.files.items():
            entry = {"type": "file", "path": path, "size": len(content), "oid": git_hash(content)}
            if path.endswith(".bin"):
                entry["lfs"] = {"oid": hashlib.sha256(content).hexdigest(), "size": len(content)}
            entries.append(entry)
        stop = start + self.page_size
        more = f'<{self.url}/api/models/{REPO}/tree/main?cursor={stop}>; rel="next"' if stop < len(entries) else None
        self.send_json(request, entries[start:stop], {"Link": more} if more else {})

    def modelscope_entries(self) -> list[dict[str, Any]]:
        return [
            {"Type": "blob", "Path": path, "Size": len(content), "Sha256": hashlib.sha256(content).hexdigest()}
            for path, content in self.files.items()
        ] + [{"Type": "tree", "Path": "sub", "Size": 0, "Sha256": ""}]

    def send_json(self, request: BaseHTTPRequestHandler, body: Any, headers: dict[str, str] | None = None) -> None:
        data = json.dumps(body).encode()
        request.send_response(200)
        for name, value in (headers or {}).items():
            request.send_header(name, value)
        request.send_header("Content-Length", str(len(data)))
        request.end_headers()
        request.wfile.write(data)

    def send_file(self, request: BaseHTTPRequestHandler, path: str) -> None:
        content = self.files[path]
        if self.damaged and path.endswith(".bin"):
            content = b"\xff" + content[1:]
        asked = request.headers.get("Range") if self.knows_ranges else None
        start = int(asked.removeprefix("bytes=").removesuffix("-")) if asked else 0
        request.send_response(206 if asked else 200)
        request.send_header("Content-Length", str(len(content) - start))
        request.end_headers()
        stop = start + self.cuts.pop(0) if self.cuts and path.endswith(".bin") else len(content)
        request.wfile.write(content[start:stop])

    def ranges(self) -> list[str | None]:
        return [asked for path, asked in self.asked if "pytorch_model.bin" in path]


def git_hash(content: bytes) -> str:
    return hashlib.sha1(b"blob %d\0" % len(content) + content, usedforsecurity=False).hexdigest()


@pytest.fixture
def hub(monkeypatch: pytest.MonkeyPatch) -> Iterator[FakeHub]:
    monkeypatch.setattr(downloading, "BACKOFF_S", 0.0)
    hub = FakeHub()
    yield hub
    hub.server.shutdown()
    hub.server.server_close()


def get(hub: FakeHub, folder: Path, *options: str) -> int:
    return main([REPO, "--source", hub.url, "--to", str(folder), *options])


def test_all_that_a_model_needs_comes_and_no_code(
    hub: FakeHub, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert get(hub, tmp_path / "m") == 0
    assert {path.name for path in (tmp_path / "m").iterdir()} == {"config.json", "pytorch_model.bin"}
    assert (tmp_path / "m" / "pytorch_model.bin").read_bytes() == WEIGHTS
    assert f"YIJU_MODEL={tmp_path / 'm'}" in capsys.readouterr().out


def test_what_is_there_and_whole_is_not_fetched_again(hub: FakeHub, tmp_path: Path) -> None:
    get(hub, tmp_path)
    (tmp_path / "config.json").write_text("{")
    get(hub, tmp_path)
    assert Counter(path.rsplit("/", 1)[1] for path, _ in hub.asked if "resolve" in path) == {
        "config.json": 2,
        "pytorch_model.bin": 1,
    }
    assert (tmp_path / "config.json").read_bytes() == hub.files["config.json"]


def test_a_broken_connection_is_taken_up_where_it_broke(hub: FakeHub, tmp_path: Path) -> None:
    hub.cuts = [100_000, 50_000]
    assert get(hub, tmp_path) == 0
    assert hub.ranges() == [None, "bytes=98304-", "bytes=147456-"]  # whole pieces of 16 KiB
    assert (tmp_path / "pytorch_model.bin").read_bytes() == WEIGHTS


def test_a_second_run_goes_on_where_the_first_was_stopped(hub: FakeHub, tmp_path: Path) -> None:
    hub.cuts = [100_000] + [0] * downloading.ATTEMPTS
    with pytest.raises(DownloadFailed, match="goes on where it stopped"):
        get(hub, tmp_path)
    assert not (tmp_path / "pytorch_model.bin").exists()
    assert get(hub, tmp_path) == 0
    assert hub.ranges()[-1] == "bytes=98304-"
    assert not list(tmp_path.glob("*.part"))


def test_a_server_without_ranges_is_asked_from_the_start(hub: FakeHub, tmp_path: Path) -> None:
    hub.cuts, hub.knows_ranges = [100_000], False
    assert get(hub, tmp_path) == 0
    assert (tmp_path / "pytorch_model.bin").read_bytes() == WEIGHTS


def test_damaged_bytes_are_not_kept(hub: FakeHub, tmp_path: Path) -> None:
    hub.damaged = True
    with pytest.raises(DownloadFailed, match="another hash"):
        get(hub, tmp_path)
    assert not list(tmp_path.glob("pytorch_model*"))
    hub.damaged = False
    assert get(hub, tmp_path) == 0


def test_a_damaged_beginning_from_an_earlier_run_is_found(hub: FakeHub, tmp_path: Path) -> None:
    (tmp_path / "pytorch_model.bin.part").write_bytes(b"x" * 1000)
    with pytest.raises(DownloadFailed, match="another hash"):
        get(hub, tmp_path)
    assert get(hub, tmp_path) == 0


def test_space_is_checked_before_anything_comes(hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(shutil, "disk_usage", lambda path: shutil._ntuple_diskusage(1, 1, 1000))
    with pytest.raises(DownloadFailed, match="Not enough disk space"):
        get(hub, tmp_path)
    assert not any("resolve" in path for path, _ in hub.asked)


def test_modelscope_has_its_own_protocol(hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("tools.hubs.MODELSCOPE_ENDPOINT", hub.url)
    hub.cuts = [1000]
    assert main([REPO, "--source", "modelscope", "--to", str(tmp_path)]) == 0
    assert (tmp_path / "pytorch_model.bin").read_bytes() == WEIGHTS


def test_hf_endpoint_is_honoured(hub: FakeHub, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HF_ENDPOINT", hub.url)
    assert main([REPO, "--to", str(tmp_path)]) == 0


def test_safetensors_are_taken_instead_of_pickles(hub: FakeHub, tmp_path: Path) -> None:
    hub.files["model.safetensors"] = b"safe"
    hub.files["pytorch_model.bin.index.json"] = b"{}"
    get(hub, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} == {"config.json", "model.safetensors"}


@pytest.mark.parametrize("path", ["../evil.bin", "/etc/evil.bin", "a/../../evil.bin"])
def test_no_file_leaves_the_folder(hub: FakeHub, tmp_path: Path, path: str) -> None:
    hub.files[path] = b"x"
    with pytest.raises(InvalidRequest, match="leads out of the folder"):
        get(hub, tmp_path / "m")
    assert not (tmp_path / "evil.bin").exists()


def test_what_goes_wrong_is_said_in_words(hub: FakeHub, tmp_path: Path) -> None:
    with pytest.raises(NotFound, match="No such repository"):
        main(["nobody/nothing", "--source", hub.url, "--to", str(tmp_path)])
    with pytest.raises(InvalidRequest, match="must be OWNER/NAME"):
        main(["nothing"])
    with pytest.raises(InvalidRequest, match="hf, modelscope"):
        main([REPO, "--source", "ftp://x", "--to", str(tmp_path)])
    with pytest.raises(DownloadFailed, match="Without a network") as caught:
        main([REPO, "--source", "http://127.0.0.1:9", "--to", str(tmp_path)])
    assert "没有网络" in caught.value.words.zh


@pytest.mark.slow
def test_pickled_weights_become_safetensors(hub: FakeHub, tmp_path: Path) -> None:
    torch = pytest.importorskip("torch")
    from safetensors.torch import load_file

    weight = torch.arange(12.0).reshape(3, 4)
    torch.save({"a": weight, "b": weight.T}, tmp_path / "source.bin")
    hub.files["pytorch_model.bin"] = (tmp_path / "source.bin").read_bytes()
    hub.files["pytorch_model.bin.index.json"] = json.dumps(
        {"metadata": {}, "weight_map": {"a": "pytorch_model.bin", "b": "pytorch_model.bin"}}
    ).encode()
    assert get(hub, tmp_path / "m", "--safetensors") == 0
    safe = load_file(tmp_path / "m" / "model.safetensors")
    assert torch.equal(safe["a"], weight)
    assert torch.equal(safe["b"], weight.T)
    index = json.loads((tmp_path / "m" / "model.safetensors.index.json").read_text())
    assert set(index["weight_map"].values()) == {"model.safetensors"}


@pytest.mark.slow
def test_a_pickle_with_more_than_weights_is_not_converted(tmp_path: Path) -> None:
    pytest.importorskip("torch")
    import pickle

    from tools import safe_weights

    (tmp_path / "pytorch_model.bin").write_bytes(pickle.dumps(print))
    with pytest.raises(InvalidRequest, match="more than weights"):
        safe_weights.main([str(tmp_path)])
