"""A small real Elasticsearch on this machine, for tests and measurements: `python -m tools.elasticsearch_server`.

Built once from Maven Central (`tests/elasticsearch/pom.xml`; it lacks security, reindex and scripts, so it is no server
for real data) and kept in the user's cache folder. Prints its URL and runs until interrupted.
"""

import argparse
import hashlib
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from pathlib import Path

from filelock import FileLock

from service_kit.errors import DependencyDown
from tools.console import run_tool

SOURCES = Path(__file__).resolve().parent.parent / "tests" / "elasticsearch"
JAVA = 17
HEAP = "512m"
START_TIMEOUT_S = 120.0
BUILD_TIMEOUT_S = 900.0
ENDING = (signal.SIGTERM, signal.SIGINT, signal.SIGHUP)


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.elasticsearch_server", description=__doc__.splitlines()[0])
    parser.add_argument("--heap", default=HEAP, help="memory of the JVM's heap (%(default)s)")
    args = parser.parse_args(argv)
    for one in ENDING:
        signal.signal(one, _end)
    with elasticsearch_server(args.heap) as url:
        print(f"export YIJU_SEARCH=elasticsearch YIJU_ES_URLS={url}", flush=True)
        while True:
            signal.pause()


def _end(*_: object) -> None:
    """Leave by way of every `finally`: the server ends and its folder goes. Once is enough."""
    for one in ENDING:
        signal.signal(one, signal.SIG_IGN)
    sys.exit(0)


@contextmanager
def elasticsearch_server(heap: str = HEAP) -> Iterator[str]:
    """The URL of a fresh, empty node, which ends with the block or with this process, however that ends.

    Raises:
        DependencyDown: it can not be built or started; the message says what is missing.
    """
    home = build()
    with tempfile.TemporaryDirectory(prefix="yiju-elasticsearch-") as place:
        directory = Path(place)
        log = directory / "server.log"
        with log.open("wb") as output:
            process = subprocess.Popen(
                _command(home, directory, heap), stdin=subprocess.PIPE, stdout=output, stderr=output, cwd=directory
            )
        try:
            yield f"http://127.0.0.1:{_port(process, directory / 'port', log)}"
        finally:
            process.terminate()
            try:
                process.wait(30)
            except subprocess.TimeoutExpired:
                process.kill()
                process.wait()
            assert process.stdin
            process.stdin.close()


def build() -> Path:
    """The server's directory, built when it is not yet; two processes at once build it once.

    Raises:
        DependencyDown: Java or Maven is missing, or the build fails.
    """
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "yiju"
    cache.mkdir(parents=True, exist_ok=True)
    home = cache / f"elasticsearch-{_digest(SOURCES)}"
    with FileLock(home.with_suffix(".lock")):
        if not home.exists():
            _install_missing()
            with tempfile.TemporaryDirectory(dir=cache) as place:
                project = shutil.copytree(SOURCES, Path(place) / "project", ignore=shutil.ignore_patterns("target"))
                _run(["mvn", "-q", "-B", "-f", str(project / "pom.xml"), "package"], "Maven")
                (project / "target" / "server").rename(home)
    return home


def _digest(directory: Path) -> str:
    files = sorted(path for path in directory.rglob("*") if path.is_file() and "target" not in path.parts)
    return hashlib.sha256(b"\0".join(path.read_bytes() for path in files)).hexdigest()[:16]


def _install_missing() -> None:
    """Java and Maven by apt-get, where that is allowed."""
    missing = [
        package
        for program, package in (("javac", f"openjdk-{JAVA}-jdk-headless"), ("mvn", "maven"))
        if not shutil.which(program)
    ]
    if not missing:
        return
    if not (shutil.which("apt-get") and os.geteuid() == 0):
        raise DependencyDown(
            f"测试用 Elasticsearch 需要 Java {JAVA} 与 Maven：请安装 {' '.join(missing)}，"
            "或以 YIJU_TEST_ES_URL 指定已有的 Elasticsearch 8.19（含 ik）",
            f"The test Elasticsearch needs Java {JAVA} and Maven: install {' '.join(missing)}, "
            "or name an Elasticsearch 8.19 with ik in YIJU_TEST_ES_URL",
        )
    _run(["apt-get", "update", "-q"], "apt-get")
    _run(["apt-get", "install", "-q", "-y", "--no-install-recommends", *missing], "apt-get")


def _run(command: Sequence[str], name: str) -> None:
    try:
        done = subprocess.run(command, capture_output=True, text=True, timeout=BUILD_TIMEOUT_S, check=False)
        fault = done.returncode and (done.stdout + done.stderr)[-1500:]
    except (OSError, subprocess.TimeoutExpired) as error:
        fault = str(error)
    if fault:
        raise DependencyDown(
            f"测试用 Elasticsearch 装不起来（{name}）；可以 YIJU_TEST_ES_URL 指定已有的：{fault}",
            f"The test Elasticsearch can not be made ({name}); YIJU_TEST_ES_URL may name another one: {fault}",
        )


def _command(home: Path, directory: Path, heap: str) -> list[str]:
    return [
        *("java", f"-Xms{heap}", f"-Xmx{heap}", "-XX:+UseSerialGC", "-Djava.security.manager=allow"),
        f"-Dlog4j.configurationFile={home / 'config' / 'log4j2.properties'}",
        f"-Djava.io.tmpdir={directory}",
        # On the class path the server finds no module of its own and does not start.
        *("--module-path", str(home / "lib"), "--add-modules", "jdk.net,ALL-MODULE-PATH"),
        *("-cp", str(home / "launcher" / "*"), "yiju.elasticsearch.Launcher", str(home), str(directory / "port")),
        *(f"path.data={directory / 'data'}", f"path.logs={directory / 'logs'}", f"cluster.name={directory.name}"),
        *("discovery.type=single-node", "http.port=0", "transport.port=0", "http.host=127.0.0.1"),
        # A nearly full disk of the test machine must not make the index read-only.
        "cluster.routing.allocation.disk.threshold_enabled=false",
        # Elasticsearch refuses requests (429) while the heap is full, be it of garbage. It makes its usual collector,
        # G1, clear that away, but not the serial one: bulks were refused for up to 13 s.
        "indices.breaker.total.use_real_memory=false",
    ]


def _port(process: subprocess.Popen[bytes], file: Path, log: Path) -> str:
    limit = time.monotonic() + START_TIMEOUT_S
    while not file.exists():
        if process.poll() is not None or time.monotonic() > limit:
            text = log.read_text("utf-8", "replace")[-2000:]
            raise DependencyDown(
                f"测试用 Elasticsearch 没有启动：{text}", f"The test Elasticsearch did not start: {text}"
            )
        time.sleep(0.05)
    return file.read_text()


if __name__ == "__main__":
    sys.exit(run_tool(main))
