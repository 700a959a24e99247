"""The tutorial's client of llm_server: `python -m tools.chat "解释一下量子计算" [--url http://host:1707/]`."""

import argparse

import requests

from service_kit.settings import load_settings
from tools.clients import DEFAULT_PROMPT, add_client_options, body_of, post, session_for
from tools.console import run_tool


class Baichuan:
    """Calls llm_server's `POST /`; any chat model may stand behind it."""

    def __init__(self, url: str, session: requests.Session | None = None) -> None:
        self.url = url
        self._session = session or requests.Session()

    def __call__(self, messages: list[dict[str, str]]) -> str:
        """The model's answer; what it says when a generation fails (status 444), too.

        Raises:
            DependencyDown: there is no answer.
        """
        return str(body_of(post(self._session, self.url, {"messages": messages})).get("response"))


def main() -> int:
    settings = load_settings()
    parser = argparse.ArgumentParser(prog="python -m tools.chat", description=__doc__)
    parser.add_argument("prompt", nargs="?", default=DEFAULT_PROMPT)
    add_client_options(parser, settings.address("llm").url + "/")
    args = parser.parse_args()
    llm = Baichuan(args.url, session_for(settings))
    print(llm([{"role": "user", "content": args.prompt}]))
    return 0


if __name__ == "__main__":
    run_tool(main)
