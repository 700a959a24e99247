"""No model: every answer says how to set one."""

from collections.abc import Sequence
from typing import NoReturn

from llm_server.engines.engine import Load, Prompt, Request
from service_kit.errors import ModelUnavailable


class NoEngine:
    """Stands where an engine would."""

    def begin(self, request: Request) -> NoReturn:
        raise _unset()

    def card(self) -> NoReturn:
        raise _unset()

    def count(self, prompt: Prompt) -> NoReturn:
        raise _unset()

    def score(self, prompts: Sequence[Prompt], following: Sequence[str], request: Request) -> NoReturn:
        raise _unset()

    def load(self) -> Load:
        return Load(waiting=0, running=0)

    def close(self) -> None:
        pass


def _unset() -> ModelUnavailable:
    return ModelUnavailable(
        "没有配置模型：请设置 YIJU_MODEL=<本地路径或模型库名称>，或 YIJU_OPENAI_URL=<OpenAI 协议的服务地址>",
        "No model is set: set YIJU_MODEL=<path or hub name> or YIJU_OPENAI_URL=<a server with OpenAI's protocol>",
    )
