"""The command `python -m tools.load_test` as a user types it, against the real services."""

import csv
import json
import os
import pty
import re
import signal
import subprocess
import sys
import termios
import threading
from collections.abc import Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest
from flask import Flask, jsonify
from flask.typing import ResponseReturnValue

from es_search.app import create_app as create_search
from llm_server.app import create_app as create_llm
from llm_stream_server.app import create_app as create_stream
from llm_stream_server.app import make_client
from rag_server.app import create_app as create_rag
from service_kit.errors import GenerationFailed, InvalidRequest, Overloaded
from service_kit.settings import Settings, load_settings
from tests.corpus import index_passages
from tests.llm_fixtures import ScriptedEngine
from tests.servers import served
from tools.load_test.__main__ import PackagesMissing, run
from tools.load_test.command import main
from tools.load_test.target import target_of


@contextmanager
def llm(*steps: str | GenerationFailed, refusal: Overloaded | None = None) -> Iterator[str]:
    """The URL of an llm_server whose model says `steps`."""
    with served(create_llm(load_settings(), ScriptedEngine(*steps, refusal=refusal))) as url:
        yield url


@contextmanager
def rag(settings: Settings) -> Iterator[str]:
    """The URL of a rag_server that quotes from a few passages."""
    index_passages(settings)
    with served(create_search(settings)) as search_url:
        own = load_settings(data=settings.data, search_url=search_url, answer="extract")
        with served(create_rag(own)) as url:
            yield f"{url}/get_bot_response"


def test_the_tutorials_words(capsys: pytest.CaptureFixture[str]) -> None:
    with llm("量子", "计算") as url:
        assert main(["--url", url, "--threads", "2", "--rounds", "2"]) == 0
    printed = capsys.readouterr().out
    assert "开始测试轮数: 1\n" in printed
    assert "开始测试轮数: 2\n" in printed
    assert len(re.findall(r"^Thread [01]: Success, Response: 量子计算, Duration: [\d.e-]+s$", printed, re.M)) == 4
    assert "总成功次数: 4, 总失败次数: 0\n" in printed
    assert re.search(r"整体最短耗时: \d+\.\d\ds, 整体最长耗时: \d+\.\d\ds, 整体平均耗时: \d+\.\d\ds\n", printed)


def test_the_same_in_english(capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YIJU_LANG", "en")
    with llm("quantum") as url:
        main(["--url", url, "--threads", "1,2", "--rounds", "1", "--slo", "total=60"])
    assert not re.search(r"[一-鿿]", capsys.readouterr().out)


def test_a_generation_that_fails_is_a_failure_with_its_name(capsys: pytest.CaptureFixture[str]) -> None:
    with llm(GenerationFailed("显存不足", "out of memory")) as url:
        assert main(["--url", url, "--threads", "1", "--rounds", "1"]) == 1
    printed = capsys.readouterr().out
    assert "Thread 0: Failure (status 444)" in printed
    assert "  status 444: 1" in printed


def test_a_refusal_shows_when_to_come_back(capsys: pytest.CaptureFixture[str]) -> None:
    with llm(refusal=Overloaded("忙", "busy", retry_after=9)) as url:
        assert main(["--url", url, "--threads", "3", "--rounds", "1", "--quiet"]) == 1
    assert "HTTP 429 （服务拒绝）: 3, Retry-After 9s" in capsys.readouterr().out


def test_a_list_of_threads_gives_the_tutorials_table(capsys: pytest.CaptureFixture[str]) -> None:
    with llm("好") as url:
        main(["--url", url, "--threads", "1,3", "--rounds", "1", "--quiet"])
    head, one, three = capsys.readouterr().out.splitlines()[-3:]
    assert "对 1 的倍数" in head
    assert (one.split()[0], one.split()[2], three.split()[0]) == ("1", "1.00", "3")


def test_openais_route_is_streamed(capsys: pytest.CaptureFixture[str], tmp_path: Path) -> None:
    with llm("量子", "计算", "机") as url:
        assert (
            main(
                [
                    "--url",
                    f"{url}/v1/chat/completions",
                    "--threads",
                    "1",
                    "--rounds",
                    "2",
                    "--json",
                    str(tmp_path / "r"),
                ]
            )
            == 0
        )
    sample = json.loads((tmp_path / "r").read_text("utf-8"))["runs"][0]["samples"][0]
    assert (sample["pieces"], sample["tokens"]) == (3, 3)
    assert "首段 s" in capsys.readouterr().out


def test_a_model_that_breaks_in_mid_stream_is_a_failure(capsys: pytest.CaptureFixture[str]) -> None:
    with llm("量子", GenerationFailed("显存不足", "out of memory")) as url:
        assert main(["--url", f"{url}/v1/chat/completions", "--threads", "1", "--rounds", "1"]) == 1
        settings = load_settings(llm_url=url)
        with closing(make_client(settings)) as client, served(create_stream(settings, client)) as stream_url:
            assert main(["--url", stream_url, "--service", "stream", "--threads", "1", "--rounds", "1"]) == 1
    assert capsys.readouterr().out.count("  stream without its final chunk: 1") == 2


def test_llm_stream_server_is_measured_piece_by_piece(capsys: pytest.CaptureFixture[str]) -> None:
    with llm("量子", "计算") as url:
        settings = load_settings(llm_url=url)
        with closing(make_client(settings)) as client, served(create_stream(settings, client)) as stream_url:
            assert main(["--url", stream_url, "--service", "stream", "--threads", "1", "--rounds", "1"]) == 0
    assert "首段 s" in capsys.readouterr().out


def test_es_search_is_asked_its_own_way(settings: Settings) -> None:
    index_passages(settings)
    with served(create_search(settings)) as url:
        assert main(["--url", url, "--service", "search", "--threads", "2", "--rounds", "2"]) == 0


def test_rag_server_shows_its_stages_and_keeps_conversations_apart(
    settings: Settings, capsys: pytest.CaptureFixture[str]
) -> None:
    with rag(settings) as url:
        assert main(["--url", url, "--sessions", "3", "--turns", "3", "--assert", "leaks==0", "failures==0"]) == 0
    printed = capsys.readouterr().out
    assert re.search(r"各阶段平均与占比: understand .*, retrieve .*, answer .*, other ", printed)
    assert "串话: 0（9/9 个回答里看得到本会话的标记）" in printed


def test_an_open_loop_with_every_kind_of_result(
    settings: Settings, tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    questions = tmp_path / "bench.jsonl"
    questions.write_text('{"query": "什么是专项债务？"}\n{"query": "什么是一般债务？"}\n', "utf-8")
    files = {kind: tmp_path / f"result.{kind}" for kind in ("json", "csv", "html")}
    options = [text for kind, path in files.items() for text in (f"--{kind}", str(path))]
    load = ["--rate", "20", "--duration", "1", "--arrival", "constant", "--warmup", "0.2", "--slo", "ttft=2,total=20"]
    with rag(settings) as url:
        assert main(["--url", url, *load, "--questions", str(questions), "--assert", "p99<20", *options]) == 0
    printed = capsys.readouterr().out
    assert "丢弃 0 个到达，预热 4 个不计" in printed
    assert "及时回答" in printed
    stored = json.loads(files["json"].read_text("utf-8"))
    (run,) = stored["runs"]
    assert (stored["service"], run["label"], run["load"]["rate"]) == ("rag", "constant 20/s", 20)
    assert len(run["samples"]) == run["figures"]["requests"] == 20
    with files["csv"].open(encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert len(rows) == 20
    assert float(rows[0]["latency"]) == run["samples"][0]["latency"]
    assert float(rows[0]["stage_retrieve"]) > 0
    page = files["html"].read_text("utf-8")
    assert page.count("<svg") == 3
    assert "耗时的累积分布" in page
    assert "src=" not in page.replace('xlink:href="#', "")


def test_results_can_be_compared(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    first, second, verdicts = (str(tmp_path / name) for name in ("a.json", "b.json", "verdicts.json"))
    with llm("好") as url:
        for path in (first, second):
            main(["--url", url, "--threads", "1", "--rounds", "30", "--quiet", "--json", path])
    assert main(["compare", first, first, "--json", verdicts]) == 0
    printed = capsys.readouterr().out
    assert "无差别" in printed
    assert " B 高 " not in printed
    found = json.loads(Path(verdicts).read_text("utf-8"))["threads 1"]
    assert found["mean"]["ratio"] == 1
    assert not found["mean"]["differs"]
    assert "rate" not in found, "rounds come in bursts"
    assert main(["compare", first, second]) == 0


def test_what_is_no_result_can_not_be_compared(tmp_path: Path) -> None:
    other = tmp_path / "other.json"
    other.write_text("[]")
    with pytest.raises(InvalidRequest):
        main(["compare", str(other), str(other)])


def test_assertions_decide_the_exit_code(capsys: pytest.CaptureFixture[str]) -> None:
    with llm(refusal=Overloaded("忙", "busy")) as url:
        load = ["--url", url, "--threads", "1", "--rounds", "1", "--assert"]
        assert main([*load, "refused==1"]) == 0
        assert main([*load, "failures==0", "p99<2"]) == 1
    printed = capsys.readouterr().out
    assert "不满足 failures==0：threads 1 为 1.0" in printed
    assert "不满足 p99<2：threads 1 为 None" in printed


@pytest.mark.parametrize(
    "options",
    [
        ["--rate", "5"],
        ["--arrival", "often"],
        ["--arrival", "trace"],
        ["--sessions", "2", "--rate", "5"],
        ["--question", "一", "--questions", "builtin"],
        ["--questions", "/nowhere"],
    ],
)
def test_options_that_do_not_go_together_are_refused(options: list[str]) -> None:
    with pytest.raises(InvalidRequest):
        main(options)


@pytest.mark.parametrize(
    "options", [["--threads", "0"], ["--rounds", "-1"], ["--threads", "1,x"], ["--duration", "nan"]]
)
def test_numbers_that_are_none_are_refused(options: list[str]) -> None:
    with pytest.raises(SystemExit, match="2"):
        main(options)


@pytest.mark.parametrize(
    ("url", "name"),
    [
        ("http://h:80/get_bot_response", "rag"),
        ("http://h:80/v1/chat/completions", "chat"),
        ("http://h:1708/", "stream"),
        ("http://h:1709", "search"),
        ("http://h:1707/", "llm"),
        ("http://h/", "llm"),
    ],
)
def test_the_service_is_found_from_the_url(url: str, name: str) -> None:
    assert target_of(load_settings(), url, None).name == name


def test_the_url_is_found_from_the_service() -> None:
    settings = load_settings(rag_port=4711)
    assert target_of(settings, None, "rag").url == "http://127.0.0.1:4711/get_bot_response"
    assert target_of(settings, None, None).url == "http://127.0.0.1:1707/"


def test_without_its_packages_it_says_how_to_get_them(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in [name for name in sys.modules if name.startswith("tools.load_test.")]:
        monkeypatch.delitem(sys.modules, name)
    monkeypatch.setitem(sys.modules, "aiohttp", None)
    with pytest.raises(PackagesMissing, match=r"bootstrap\.py load"):
        run()


@pytest.mark.slow
def test_ctrl_c_prints_what_there_is(tmp_path: Path) -> None:
    """One answer, then the service keeps silent: the user gives up."""
    app, over, second = Flask("remote"), threading.Event(), threading.Event()
    count = iter(range(100))

    @app.post("/")
    def ask() -> ResponseReturnValue:
        if next(count):
            second.set()
            over.wait(30)
        return jsonify({"response": "好"})

    result = tmp_path / "result.json"
    with served(app) as url:
        command = [sys.executable, "-m", "tools.load_test", "--url", url, "--threads", "1", "--json", str(result)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, text=True) as process:
            assert second.wait(30)
            process.send_signal(signal.SIGINT)
            printed, _ = process.communicate(timeout=30)
        over.set()
    assert process.returncode == 130
    assert "总成功次数: 1, 总失败次数: 0" in printed
    assert "已中断，1 个请求没有等到回答" in printed
    assert json.loads(result.read_text("utf-8"))["runs"][0]["interrupted"] is True


@pytest.mark.slow
def test_a_terminal_shows_rate_in_flight_and_errors() -> None:
    ours, theirs = pty.openpty()
    termios.tcsetwinsize(theirs, (24, 120))
    with llm("好") as url, os.fdopen(ours, "rb", buffering=0) as terminal:
        command = [sys.executable, "-m", "tools.load_test", "--url", url, "--threads", "1", "--duration", "1"]
        with subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=theirs) as process:
            os.close(theirs)
            shown = b""
            with suppress(OSError):  # the terminal's other end is closed
                while data := terminal.read(4096):
                    shown += data
        assert process.returncode == 0
    assert re.search(r"threads 1: .*\d+req \[.*req/s, in flight=\d, errors=0\]", shown.decode())
