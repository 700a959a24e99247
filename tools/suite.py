"""Starts and stops the four services on this machine: `python -m tools.suite up|down|status`.

Each service is a process of its own; its pid and its log lie under `YIJU_DATA`.
"""

import argparse
import hashlib
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import requests

from service_kit.errors import YijuError
from service_kit.settings import SERVICES, Service, Settings, load_settings, unknown_variables
from service_kit.settings_sources import PREFIX
from service_kit.web.serve import PACKAGES
from tools.asking import PATH
from tools.console import Say, run_tool, speaker
from tools.processes import Background

START_TIMEOUT_S = 60.0
POLL_S = 0.1
GET_TIMEOUT_S = 5.0
SAMPLES = "preprocess_data"
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
        self._processes = {
            service: Background(settings.data / "run" / f"{package}.pid", self.logs / f"{package}.log", package)
            for service, package in PACKAGES.items()
        }
        self._http = requests.Session()
        self._http.trust_env = False  # loopback is never behind a proxy

    def running(self) -> dict[Service, int]:
        """The services that an earlier `up` started and that are still alive, with their pids."""
        found = {service: process.find() for service, process in self._processes.items()}
        return {service: process.pid for service, process in found.items() if process}

    def outdated(self) -> list[Service]:
        """The running services that were started with other settings than today's."""
        mark = _settings_mark()
        return [service for service in self.running() if self._processes[service].mark() != mark]

    def up(self) -> list[Service]:
        """Start what is not running, start again what runs with other settings, wait until questions can be answered.

        Returns the services that were not running before.

        Raises:
            SuiteError: a port is taken, or a service ended or did not get ready in time. What was started is stopped.
        """
        running = self.running()
        missing = [service for service in SERVICES if service not in running]
        for service in self.outdated():
            self._say(
                f"  设置已变，重启 {PACKAGES[service]}", f"  settings have changed: restarting {PACKAGES[service]}"
            )
            self._processes[service].stop()
        started = [service for service in SERVICES if service not in self.running()]
        for service in started:
            self._refuse_taken_port(service)
        try:
            for service in started:
                self._start(service)
            for service in SERVICES:
                self._wait(service, "/readyz" if service in READY_BEFORE_USE else "/healthz")
        except BaseException:
            self.down(started)
            raise
        return missing

    def wait_for_model(self) -> None:
        """Return when llm_server's model is loaded; at once when none is set.

        Raises:
            SuiteError: it can not be loaded; the message is llm_server's own.
        """
        if self._settings.engine_name == "none":
            return
        name = self._settings.model or self._settings.openai_url
        self._say(
            f"  等待模型 {name} 就绪，大模型需数分钟", f"  waiting for the model {name}; a large one takes minutes"
        )
        while True:
            model = self._model()
            if model["ok"]:
                return
            if not model.get("loading"):
                raise SuiteError(f"模型不可用：{model['message']}", f"No model: {model['message']}")
            if not self._processes["llm"].find():
                raise self._failed("llm", "ended / 已退出")
            time.sleep(POLL_S)

    def say_which_model(self) -> None:
        """Who will write the answers: a model, later a model that is still being loaded, or none."""
        if self._settings.engine_name == "none":
            self._say("没有配置模型：以原文摘录作答", "No model is set: answers are quotations")
        elif (model := self._model())["ok"]:
            self._say("模型已就绪", "The model is ready")
        else:
            reason = model["message"] or "loading / 正在加载"
            self._say(f"模型未就绪，此前以原文摘录作答：{reason}", f"No model yet, until then quotations: {reason}")

    def is_ready(self, service: Service) -> bool:
        """Whether it says so itself."""
        try:
            return self._get(service, "/readyz").ok
        except requests.RequestException:
            return False

    def _model(self) -> dict[str, Any]:
        """What llm_server says of its model."""
        try:
            model: dict[str, Any] = self._get("llm", "/readyz").json()["dependencies"]["model"]
        except requests.RequestException:
            return {"ok": False, "loading": True, "message": ""}  # it is busy, or has ended
        return model

    def down(self, services: tuple[Service, ...] | list[Service] = SERVICES) -> list[Service]:
        """Stop services, SIGTERM first. Returns those that were running."""
        # rag_server first: it must not answer from services that are already gone.
        return [service for service in reversed(SERVICES) if service in services and self._processes[service].stop()]

    def _start(self, service: Service) -> None:
        process, port = self._processes[service], self._settings.address(service).port
        data = str(self._settings.data.resolve())
        process.start(sys.executable, os.environ | {"YIJU_DATA": data}, _settings_mark())
        name = PACKAGES[service]
        self._say(
            f"  启动 {name}：端口 {port}，日志 {process.log}", f"  starting {name}: port {port}, log {process.log}"
        )

    def _wait(self, service: Service, path: str) -> None:
        limit = time.monotonic() + START_TIMEOUT_S
        reason = ""
        while time.monotonic() < limit:
            if not self._processes[service].find():
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
        name, process = PACKAGES[service], self._processes[service]
        return SuiteError(
            f"{name} 没有启动成功：{reason}\n日志 {process.log} 的最后几行：\n{process.last_lines()}",
            f"{name} did not start: {reason}\nThe last lines of {process.log}:\n{process.last_lines()}",
        )

    def _refuse_taken_port(self, service: Service) -> None:
        try:
            self._get(service, "/healthz")
        except requests.ConnectionError:
            return
        except requests.RequestException:
            pass
        name, port = f"{PREFIX}{service.upper()}_PORT", self._settings.address(service).port
        raise SuiteError(
            f"端口 {port}（{PACKAGES[service]}）已被别的程序占用；请停掉它，或用 {name} 另设端口",
            f"Port {port} ({PACKAGES[service]}) is taken by another program; stop that, or set {name}",
        )


def _settings_mark() -> str:
    """One word that changes with the settings; says nothing about them."""
    values = sorted(f"{name}={value}" for name, value in os.environ.items() if name.startswith(PREFIX))
    return hashlib.sha256("\n".join(values).encode()).hexdigest()[:16]


@contextmanager
def suite_running(suite: Suite) -> Iterator[None]:
    """The services for the length of a block; what ran before is left running."""
    started = suite.up()
    try:
        yield
    finally:
        suite.down(started)


def index_samples(say: Say) -> None:
    """Index the sample documents with es_index, its report on the console.

    Raises:
        SuiteError: es_index could not run.
    """
    say(f"索引 {SAMPLES}/", f"Indexing {SAMPLES}/")
    done = subprocess.run([sys.executable, "-m", "es_index", SAMPLES], check=False)
    if done.returncode not in (0, 1):
        raise SuiteError(f"es_index 失败（退出码 {done.returncode}）", f"es_index failed (exit {done.returncode})")


def _up(suite: Suite, settings: Settings, say: Say) -> None:
    for name in unknown_variables():
        say(f"注意：没有 {name} 这个设置，已忽略", f"Note: there is no setting {name}; it is ignored")
    # Documents of the user's own are there already, or will be: samples are only for an empty start, and never for an
    # Elasticsearch, which others may use.
    if settings.search == "embedded" and not (settings.data / "index").exists():
        index_samples(say)
    say("启动服务", "Starting the services")
    suite.up()
    suite.say_which_model()
    url = settings.address("rag").local_url + PATH
    say(f"已就绪：POST {url}", f"Ready: POST {url}")
    say("提问：make ask Q='什么是政府专项债务？'  停止：make down", "Ask: make ask Q='…'   Stop: make down")
    say(f"日志：{suite.logs}", f"Logs: {suite.logs}")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.suite", description=__doc__)
    parser.add_argument("action", choices=("up", "down", "status"))
    action = parser.parse_args().action
    settings = load_settings()
    say = speaker(settings)
    suite = Suite(settings, say)
    if action == "up":
        _up(suite, settings, say)
    elif action == "down":
        stopped = [PACKAGES[service] for service in suite.down()]
        if stopped:
            say("已停止：" + "、".join(stopped), "Stopped: " + ", ".join(stopped))
        else:
            say("没有运行中的服务", "Nothing was running")
    else:
        running = suite.running()
        for service in SERVICES:
            state = "-"
            if service in running:
                state = f"pid {running[service]}  " + ("ready" if suite.is_ready(service) else "not ready")
            print(f"{PACKAGES[service]:18} {settings.address(service).port}  {state}")
        if "llm" in running:
            suite.say_which_model()
    return 0


if __name__ == "__main__":
    run_tool(main)
