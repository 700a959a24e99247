"""Starts and stops the four services on this machine: `python -m tools.suite up|down|status`.

Each service is a process of its own; its pid and its log lie under `YIJU_DATA`.
"""

import argparse
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import psutil
import requests

from service_kit.errors import YijuError
from service_kit.settings import SERVICES, Service, Settings, load_settings
from service_kit.web.serve import PACKAGES
from tools.asking import PATH
from tools.console import Say, run_tool, speaker

START_TIMEOUT_S = 60.0
STOP_TIMEOUT_S = 15.0
POLL_S = 0.1
GET_TIMEOUT_S = 5.0
READY_BEFORE_USE: tuple[Service, ...] = ("search", "rag")
"""The model services may stay unready: without a model, answers are quotations."""


class SuiteError(YijuError):
    """A service did not come up; the message says which one and why."""


class Suite:
    """The four services as processes of this machine."""

    def __init__(self, settings: Settings, say: Say) -> None:
        self._settings = settings
        self._say = say
        self.logs = settings.data / "logs"
        self._pids = settings.data / "run"
        self._http = requests.Session()
        self._http.trust_env = False  # loopback is never behind a proxy

    def running(self) -> dict[Service, psutil.Process]:
        """The services that an earlier `up` started and that are still alive."""
        found = {service: self._process(service) for service in SERVICES}
        return {service: process for service, process in found.items() if process}

    def up(self) -> None:
        """Start what is not running and wait until questions can be answered.

        Raises:
            SuiteError: a port is taken, or a service ended or did not get ready in time. What was started is stopped.
        """
        running = self.running()
        missing = [service for service in SERVICES if service not in running]
        for service in missing:
            self._refuse_taken_port(service)
        try:
            for service in missing:
                self._start(service)
            for service in SERVICES:
                self._wait(service, "/readyz" if service in READY_BEFORE_USE else "/healthz")
        except BaseException:
            for service in missing:
                self._stop(service)
            raise

    def wait_for_model(self) -> None:
        """Return when llm_server's model is loaded; at once when none is set.

        Raises:
            SuiteError: it can not be loaded; the message is llm_server's own.
        """
        if self._settings.engine_name == "none":
            return
        self._say(
            f"  等待模型 {self._settings.model or ''} 就绪", f"  waiting for the model {self._settings.model or ''}"
        )
        url = f"http://127.0.0.1:{self._settings.address('llm').port}/readyz"
        while True:
            model = requests.get(url, timeout=30, proxies={"http": ""}).json()["dependencies"]["model"]
            if model["ok"]:
                return
            if not model.get("loading"):
                raise SuiteError(f"模型不可用：{model['message']}", f"No model: {model['message']}")
            time.sleep(POLL_S)

    def down(self) -> list[Service]:
        """Stop the services: SIGTERM, then SIGKILL for what has not ended in time. Returns those stopped."""
        # rag_server first: it must not answer from services that are already gone.
        return [service for service in reversed(SERVICES) if self._stop(service)]

    def _start(self, service: Service) -> None:
        self.logs.mkdir(parents=True, exist_ok=True)
        self._pids.mkdir(parents=True, exist_ok=True)
        address = self._settings.address(service)
        with self._log(service).open("ab") as log:
            process = subprocess.Popen(
                [sys.executable, "-m", PACKAGES[service]],
                stdout=log,
                stderr=log,
                stdin=subprocess.DEVNULL,
                start_new_session=True,  # Ctrl-C in the demo goes to the demo, which stops them in order
                env=os.environ | {"YIJU_DATA": str(self._settings.data.resolve())},
            )
        self._pid_file(service).write_text(f"{process.pid} {psutil.Process(process.pid).create_time()}")
        name = PACKAGES[service]
        self._say(
            f"  启动 {name}：端口 {address.port}，日志 {self._log(service)}",
            f"  starting {name}: port {address.port}, log {self._log(service)}",
        )

    def _wait(self, service: Service, path: str) -> None:
        limit = time.monotonic() + START_TIMEOUT_S
        reason = ""
        while time.monotonic() < limit:
            if not self._process(service):
                raise self._failed(service, "ended / 已退出")
            try:
                response = self._get(service, path)
                if response.ok:
                    return
                reason = response.text
            except requests.RequestException as error:
                reason = type(error).__name__
            time.sleep(POLL_S)
        raise self._failed(service, reason)

    def _get(self, service: Service, path: str) -> requests.Response:
        return self._http.get(self._settings.address(service).local_url + path, timeout=GET_TIMEOUT_S)

    def _failed(self, service: Service, reason: str) -> SuiteError:
        name, log = PACKAGES[service], self._log(service)
        tail = "\n".join(log.read_text("utf-8", "replace").splitlines()[-5:]) if log.exists() else ""
        return SuiteError(
            f"{name} 没有启动成功：{reason}\n日志 {log} 的最后几行：\n{tail}",
            f"{name} did not start: {reason}\nThe last lines of {log}:\n{tail}",
        )

    def _refuse_taken_port(self, service: Service) -> None:
        address = self._settings.address(service)
        try:
            self._get(service, "/healthz")
        except requests.ConnectionError:
            return
        except requests.RequestException:
            pass
        name = f"YIJU_{service.upper()}_PORT"
        raise SuiteError(
            f"端口 {address.port}（{PACKAGES[service]}）已被别的程序占用；请停掉它，或用 {name} 另设端口",
            f"Port {address.port} ({PACKAGES[service]}) is taken by another program; stop that, or set {name}",
        )

    def _stop(self, service: Service) -> bool:
        process = self._process(service)
        if process:
            process.terminate()
            try:
                process.wait(STOP_TIMEOUT_S)
            except psutil.TimeoutExpired:
                process.kill()
                process.wait(STOP_TIMEOUT_S)
        self._pid_file(service).unlink(missing_ok=True)
        return process is not None

    def _process(self, service: Service) -> psutil.Process | None:
        try:
            pid, created = self._pid_file(service).read_text().split()
            process = psutil.Process(int(pid))
            # A pid is used again after a while: only with the same start time is it still ours.
            alive = process.create_time() == float(created) and process.status() != psutil.STATUS_ZOMBIE
        except (FileNotFoundError, ValueError, psutil.NoSuchProcess):
            return None
        return process if alive else None

    def _pid_file(self, service: Service) -> Path:
        return self._pids / f"{PACKAGES[service]}.pid"

    def _log(self, service: Service) -> Path:
        return self.logs / f"{PACKAGES[service]}.log"


@contextmanager
def suite_running(suite: Suite) -> Iterator[None]:
    """The services for the length of a block; what ran before is left running."""
    kept = suite.running()
    suite.up()
    try:
        yield
    finally:
        if not kept:
            suite.down()


def index_samples(settings: Settings, say: Say, folder: str = "preprocess_data") -> None:
    """Index `folder` with es_index, its report on the console.

    Raises:
        SuiteError: es_index could not run.
    """
    say(f"索引 {folder}/", f"Indexing {folder}/")
    done = subprocess.run([sys.executable, "-m", "es_index", folder], check=False)
    if done.returncode not in (0, 1):
        raise SuiteError(f"es_index 失败（退出码 {done.returncode}）", f"es_index failed (exit {done.returncode})")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.suite", description=__doc__)
    parser.add_argument("action", choices=("up", "down", "status"))
    action = parser.parse_args().action
    settings = load_settings()
    say = speaker(settings)
    suite = Suite(settings, say)
    if action == "up":
        index_samples(settings, say)
        say("启动服务", "Starting the services")
        suite.up()
        url = settings.address("rag").local_url + PATH
        say(f"已就绪：POST {url}", f"Ready: POST {url}")
        say("提问：make ask Q='什么是政府专项债务？'  停止：make down", "Ask: make ask Q='…'   Stop: make down")
        say(f"日志：{suite.logs}", f"Logs: {suite.logs}")
    elif action == "down":
        stopped = [PACKAGES[service] for service in suite.down()]
        say("已停止：" + "、".join(stopped) if stopped else "没有运行中的服务",
            "Stopped: " + ", ".join(stopped) if stopped else "Nothing was running")  # fmt: skip
    else:
        running = suite.running()
        for service in SERVICES:
            state = f"pid {running[service].pid}" if service in running else "-"
            print(f"{PACKAGES[service]:18} {settings.address(service).port}  {state}")
    return 0


if __name__ == "__main__":
    run_tool(main)
