"""What the clients of the services have in common."""

import argparse
from typing import Any

import requests

from service_kit.errors import DependencyDown
from service_kit.settings import Settings

DEFAULT_PROMPT = "解释一下量子计算"
TIMEOUT_S = 600.0


def add_client_options(parser: argparse.ArgumentParser, url: str) -> None:
    """`--url`, so that a client can be used against any host."""
    parser.add_argument("--url", default=url, help="服务地址 / the service's address (%(default)s)")


def session_for(settings: Settings) -> requests.Session:
    """A session that carries the API key and never goes through an outward proxy: the questions are private."""
    session = requests.Session()
    session.trust_env = False
    if settings.own_key:
        session.headers["Authorization"] = f"Bearer {settings.own_key}"
    return session


def body_of(response: requests.Response) -> dict[str, Any]:
    """The JSON object of a good answer.

    Raises:
        DependencyDown: it is an error, whose words are passed on, or no JSON object.
    """
    try:
        body = response.json()
    except requests.JSONDecodeError:
        body = None
    if response.ok and isinstance(body, dict):
        return body
    try:
        message = body["error"]["message"]
    except (KeyError, TypeError):
        message = "不是 Yiju 的回答 / not an answer of Yiju"
    raise DependencyDown(f"HTTP {response.status_code}：{message}", f"HTTP {response.status_code}: {message}")


def post(session: requests.Session, url: str, payload: dict[str, Any], *, stream: bool = False) -> requests.Response:
    """The service's response, whatever its status.

    Raises:
        DependencyDown: there is none.
    """
    try:
        return session.post(url, json=payload, timeout=TIMEOUT_S, stream=stream)
    except requests.RequestException as error:
        name = type(error).__name__
        raise DependencyDown(
            f"连不上 {url}：{name}；服务没有启动时请先 make up",
            f"Can not reach {url}: {name}; if the services are not running, start them with make up",
        ) from None
