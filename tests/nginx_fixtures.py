"""nginx in front of Elasticsearch: TLS with a certificate of its own and a password, as managed servers have them."""

import base64
import hashlib
import os
import shutil
import ssl
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

import requests

from tests.servers import free_port, wait_until

USER, PASSWORD, API_KEY = "elastic", "秘密-pass:word", "aWQ6a2V5"

_CONFIG = """
daemon off; master_process off; worker_processes 1; pid {place}/nginx.pid; error_log {place}/error.log;
events {{}}
http {{
  access_log off;
  client_body_temp_path {place}/body; proxy_temp_path {place}/proxy; fastcgi_temp_path {place}/a;
  uwsgi_temp_path {place}/b; scgi_temp_path {place}/c;
  client_max_body_size 100m;
  map $http_authorization $known {{ default 0; "Basic {basic}" 1; "ApiKey {api_key}" 1; }}
  server {{
    listen 127.0.0.1:{port} ssl;
    ssl_certificate {place}/server.pem; ssl_certificate_key {place}/server.key;
    location / {{
      if ($known = 0) {{ return 401; }}
      proxy_set_header Authorization "";
      proxy_pass {upstream};
    }}
  }}
}}
"""


@dataclass(frozen=True)
class Front:
    """Where nginx listens, and what proves that it is it."""

    url: str
    ca_file: Path
    fingerprint: str


@contextmanager
def nginx_front(upstream: str, place: Path) -> Iterator[Front]:
    """nginx until the block ends; it runs in `place`."""
    program = _nginx()
    _make_certificate(place)
    port = free_port()
    basic = base64.b64encode(f"{USER}:{PASSWORD}".encode()).decode()
    config = place / "nginx.conf"
    config.write_text(
        _CONFIG.format(place=place, port=port, upstream=upstream, basic=basic, api_key=API_KEY), encoding="utf-8"
    )
    process = subprocess.Popen([program, "-c", str(config), "-p", str(place), "-e", str(place / "error.log")])
    url = f"https://127.0.0.1:{port}"
    try:
        wait_until(lambda: _listens(url, place / "server.pem") or process.poll() is not None, "nginx listens")
        assert process.poll() is None, (place / "error.log").read_text()
        certificate = ssl.PEM_cert_to_DER_cert((place / "server.pem").read_text())
        yield Front(url, place / "server.pem", hashlib.sha256(certificate).hexdigest())
    finally:
        process.terminate()
        process.wait(10)


def _listens(url: str, ca_file: Path) -> bool:
    with suppress(requests.RequestException):
        return requests.get(url, timeout=2, verify=str(ca_file)).status_code == 401
    return False


def _nginx() -> str:
    if not shutil.which("nginx") and shutil.which("apt-get") and os.geteuid() == 0:
        subprocess.run(["apt-get", "install", "-q", "-y", "nginx-light"], check=False, capture_output=True)
    program = shutil.which("nginx")
    assert program, "these tests need nginx: apt-get install nginx-light"
    return program


def _make_certificate(place: Path) -> None:
    subprocess.run(
        [
            *("openssl", "req", "-x509", "-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1", "-nodes"),
            *("-keyout", str(place / "server.key"), "-out", str(place / "server.pem"), "-days", "2"),
            *("-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"),
        ],
        check=True,
        capture_output=True,
    )
