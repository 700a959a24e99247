"""The tutorial's client of llm_stream_server: prints the answer as it comes.

`python -m tools.chat_stream "解释一下量子计算" [--url http://host:1708/]`
"""

import argparse
from collections.abc import Iterator

import requests

from service_kit.errors import DependencyDown
from service_kit.settings import load_settings
from tools.clients import DEFAULT_PROMPT, add_client_options, body_of, post, session_for
from tools.console import run_tool


def stream_request(session: requests.Session, url: str, messages: list[dict[str, str]]) -> Iterator[str]:
    """The answer's pieces in the order they come.

    Raises:
        DependencyDown: the service answers an error, or the stream ends before its end.
    """
    with post(session, url, {"messages": messages}, stream=True) as response:
        if not response.ok:
            body_of(response)
        response.encoding = "utf-8"
        try:
            yield from response.iter_content(chunk_size=None, decode_unicode=True)
        except requests.RequestException:
            raise DependencyDown("\n回答中断了", "\nThe answer broke off") from None


def main() -> int:
    settings = load_settings()
    parser = argparse.ArgumentParser(prog="python -m tools.chat_stream", description=__doc__)
    parser.add_argument("prompt", nargs="?", default=DEFAULT_PROMPT)
    add_client_options(parser, settings.address("stream").url + "/")
    args = parser.parse_args()
    for piece in stream_request(session_for(settings), args.url, [{"role": "user", "content": args.prompt}]):
        print(piece, end="", flush=True)
    print()
    return 0


if __name__ == "__main__":
    run_tool(main)
