"""The tools as their users run them: suite, demo, ask, clients, export."""

import json
import os
import socket
import stat
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path

import pytest
import requests

from rag_server.store import Entry, SessionKey
from rag_server.store.sqlite_store import SqliteStore
from tests.servers import free_port

ROOT = Path(__file__).resolve().parent.parent


def tool(name: str, *arguments: str, env: dict[str, str], cwd: Path = ROOT) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", f"tools.{name}", *arguments],
        env=os.environ | {"PYTHONPATH": str(ROOT), "YIJU_LANG": "zh"} | env,
        cwd=cwd,
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )


@pytest.fixture
def env(tmp_path: Path) -> dict[str, str]:
    ports = {f"YIJU_{service}_PORT": str(free_port()) for service in ("LLM", "STREAM", "SEARCH", "RAG")}
    return {"YIJU_DATA": str(tmp_path / "data"), **ports}


def test_export_writes_the_trail(tmp_path: Path, env: dict[str, str]) -> None:
    with closing(SqliteStore(tmp_path / "data", idle_s=3600)) as store:
        store.record(Entry("t", SessionKey("s"), "问", "全", ("段",), "答", "embedded", "extract"), None)
    done = tool("export_history", str(tmp_path / "history.json"), env=env)
    assert done.returncode == 0, done.stderr
    exported = json.loads((tmp_path / "history.json").read_text("utf-8"))
    assert exported == [{"query": "问", "new_query": "全", "docs": ["段"], "response": "答", "retrieval": "embedded"}]


def test_export_without_a_trail_says_so(env: dict[str, str]) -> None:
    done = tool("export_history", env=env)
    assert done.returncode == 1
    assert "还没有问答记录" in done.stderr


def test_clients_say_what_to_do_when_nothing_runs(env: dict[str, str]) -> None:
    for name, arguments in (("chat", ["你好"]), ("chat_stream", ["你好"]), ("rag_test", [])):
        done = tool(name, *arguments, env=env)
        assert done.returncode == 1, name
        assert "make up" in done.stderr
        assert "Traceback" not in done.stderr


def test_compose_env_makes_a_password_once(tmp_path: Path) -> None:
    for _ in range(2):
        assert tool("compose_env", env={}, cwd=tmp_path).returncode == 0
    written = (tmp_path / ".env").read_text()
    assert written.count("ELASTIC_PASSWORD=") == 1
    assert len(written.strip().split("=")[1]) >= 24
    assert stat.S_IMODE((tmp_path / ".env").stat().st_mode) == 0o600


def test_compose_env_keeps_what_is_there(tmp_path: Path) -> None:
    path = tmp_path / ".env"
    path.write_text("YIJU_LANG=en\nELASTIC_PASSWORD=\nYIJU_TOP_K=3")
    path.chmod(0o644)
    assert tool("compose_env", env={}, cwd=tmp_path).returncode == 0
    lines = path.read_text().splitlines()
    assert lines[:3] == ["YIJU_LANG=en", "ELASTIC_PASSWORD=", "YIJU_TOP_K=3"]
    assert len(lines[3]) > 24
    assert stat.S_IMODE(path.stat().st_mode) == 0o600


@pytest.mark.parametrize(
    ("name", "value"), [("YIJU_DATA", "/dev/null/x"), ("YIJU_RAG_HOST", "nosuch.invalid"), ("YIJU_API_KEYS", " , ")]
)
def test_a_service_that_can_not_start_says_so_in_words(env: dict[str, str], name: str, value: str) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rag_server"],
        env=os.environ | env | {name: value},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode in (1, 2)
    assert "Traceback" not in done.stderr


@contextmanager
def taken(port: str) -> Iterator[None]:
    with socket.socket() as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        listener.bind(("127.0.0.1", int(port)))
        listener.listen()
        yield


@pytest.mark.slow
def test_up_ask_status_down(env: dict[str, str]) -> None:
    up = tool("suite", "up", env=env)
    try:
        assert up.returncode == 0, up.stdout + up.stderr
        assert "已就绪" in up.stdout
        assert "没有配置模型" in up.stdout
        again = tool("suite", "up", env=env)
        assert again.returncode == 0
        assert "启动 rag_server" not in again.stdout
        asked = tool("ask", env=env | {"Q": "专项债收入可以用于经常性支出吗？", "ID": "7"})
        assert "不得用于经常性支出" in asked.stdout
        assert "证据[1]" in asked.stdout
        tested = tool("rag_test", env=env)
        assert tested.stdout.count("Answer: ") == 3
        refused = tool("chat", "你好", env=env)
        assert refused.returncode == 1
        assert "YIJU_MODEL" in refused.stderr
        status = tool("suite", "status", env=env).stdout
        assert status.count("pid") == 4
        assert status.count("not ready") == 2  # the model services: none is set
        assert "没有配置模型" in status
        locked = env | {"YIJU_API_KEYS": "k1"}
        assert "重启 rag_server" in tool("suite", "up", env=locked).stdout
        assert "API 密钥" in tool("ask", env=env | {"Q": "什么是专项债务？"}).stderr
        assert "证据[1]" in tool("ask", env=locked | {"Q": "什么是专项债务？"}).stdout
    finally:
        down = tool("suite", "down", env=env)
    assert "rag_server" in down.stdout
    assert tool("suite", "status", env=env).stdout.count("pid") == 0
    with pytest.raises(requests.ConnectionError):
        requests.get(f"http://127.0.0.1:{env['YIJU_RAG_PORT']}/healthz", timeout=2)


@pytest.mark.slow
def test_a_taken_port_is_named_and_nothing_is_left_running(env: dict[str, str]) -> None:
    with taken(env["YIJU_RAG_PORT"]):
        up = tool("suite", "up", env=env)
    assert up.returncode == 1
    assert env["YIJU_RAG_PORT"] in up.stderr
    assert "YIJU_RAG_PORT" in up.stderr
    assert tool("suite", "status", env=env).stdout.count("pid") == 0


@pytest.mark.slow
def test_the_demo_answers_with_numbered_evidence_and_stops(env: dict[str, str]) -> None:
    done = tool("demo", env=env)
    assert done.returncode == 0, done.stdout + done.stderr
    assert done.stdout.count("\n问：") == 4
    assert done.stdout.count("证据[1]") == 4
    assert "（理解为：政府专项债务的利息可以通过发行专项债券偿还吗？）" in done.stdout
    assert tool("suite", "status", env=env).stdout.count("pid") == 0


def test_bad_settings_are_one_message_and_exit_2(env: dict[str, str]) -> None:
    done = subprocess.run(
        [sys.executable, "-m", "rag_server"],
        env=os.environ | env | {"YIJU_TOP_K": "many"},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    assert done.returncode == 2
    assert "YIJU_TOP_K" in done.stderr
    assert "Traceback" not in done.stderr
