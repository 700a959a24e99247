"""`make ask Q="…" [ID=…]`: one question to a running rag_server."""

import os
import uuid

from service_kit.settings import load_settings
from tools.asking import PATH, ask, print_answer
from tools.console import run_tool, speaker


def main() -> int:
    # From the environment, not the command line: make would have to quote the question for the shell.
    question, session = os.environ.get("Q", ""), os.environ.get("ID") or uuid.uuid4().hex
    settings = load_settings()
    say = speaker(settings)
    if not question.strip():
        say("用法：make ask Q='什么是政府专项债务？' [ID=会话编号]", "Usage: make ask Q='…' [ID=session]")
        return 2
    print_answer(say, question, ask(settings, settings.address("rag").url + PATH, session, question))
    return 0


if __name__ == "__main__":
    run_tool(main)
