"""`make demo`: indexes the sample documents, starts the services, asks real questions, stops the services."""

import uuid

from service_kit.settings import Settings, load_settings
from tools.asking import PATH, QUESTIONS, ask, print_answer
from tools.console import Say, run_tool, speaker
from tools.suite import Suite, index_samples, suite_running

CONVERSATION = (*QUESTIONS, "它的利息可以通过发行专项债券偿还吗？")
"""The last one only the history makes clear."""


def demo(settings: Settings, say: Say) -> None:
    """The whole way of a question, from the files to an answer with its evidence."""
    say("[1/4] 建索引", "[1/4] Building the index")
    index_samples(say)
    say("[2/4] 启动服务", "[2/4] Starting the services")
    suite = Suite(settings, say)
    with suite_running(suite):
        suite.wait_for_model()
        say("[3/4] 提问", "[3/4] Asking")
        session, url = uuid.uuid4().hex, settings.address("rag").url + PATH
        for question in CONVERSATION:
            print_answer(say, question, ask(settings, url, session, question))
        say("\n[4/4] 停止服务", "\n[4/4] Stopping the services")
    say(
        "完成。让服务一直运行：make up；提问：make ask Q='…'；停止：make down",
        "Done. To keep the services running: make up; to ask: make ask Q='…'; to stop: make down",
    )


def main() -> int:
    settings = load_settings()
    demo(settings, speaker(settings))
    return 0


if __name__ == "__main__":
    run_tool(main)
