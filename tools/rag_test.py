"""The tutorial's client of rag_server: its three questions, each in a session of its own.

`python -m tools.rag_test [--url http://host:1710/get_bot_response]`
"""

import argparse
import random

from tqdm import trange

from service_kit.settings import load_settings
from tools.asking import PATH, QUESTIONS, ask
from tools.clients import add_client_options
from tools.console import run_tool


def main() -> int:
    settings = load_settings()
    parser = argparse.ArgumentParser(prog="python -m tools.rag_test", description=__doc__)
    add_client_options(parser, settings.address("rag").url + PATH)
    url = parser.parse_args().url
    for i in trange(len(QUESTIONS)):
        # A number that nobody has to guess: it only keeps the three questions apart.
        answer = ask(settings, url, random.randint(0, 9_999_999), QUESTIONS[i])  # noqa: S311
        print("\nQuestion: " + QUESTIONS[i])
        print("\nAnswer: " + answer["response"])
        print("\n-------------------------------------------------")
    return 0


if __name__ == "__main__":
    run_tool(main)
