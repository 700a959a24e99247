"""What is asked: one question, a file of them, or a built-in set."""

import json
import lzma
from pathlib import Path

from service_kit.errors import InvalidRequest

BUILT_IN = "builtin"
BUILT_IN_QUESTIONS = (
    "什么是政府专项债务？",
    "专项债收入可以用于经常性支出吗？",
    "政府专项债务应当通过什么偿还？",
    "政府一般债务应当通过什么偿还？",
    "什么是地方政府债务限额？",
    "专项债券可以用作项目资本金吗？",
    "经批准的预算应当在多少日内向社会公开？",
    "地方政府可以为企业提供担保吗？",
    "预算调整方案由谁批准？",
    "什么是隐性债务？",
    "专项债券的期限由谁确定？",
    "一般公共预算收入包括哪些？",
)
"""About local-government debt, as the tutorial's: what the sample documents are about."""
FOLLOW_UPS = ("它可以用于经常性支出吗？", "那它应当通过什么偿还？", "它由谁批准？", "那它的利息呢？")
"""Each leans on the turn before, so that the history is really used."""


def read_questions(source: str) -> tuple[str, ...]:
    """`builtin`, or a file: `.jsonl` (also `.jsonl.xz`) of objects with `query`, else one question a line.

    Raises:
        InvalidRequest: the file can not be read, or holds no question.
    """
    if source == BUILT_IN:
        return BUILT_IN_QUESTIONS
    path = Path(source)
    try:
        with (lzma.open if path.suffix == ".xz" else open)(path, "rt", encoding="utf-8-sig") as file:
            lines = [line.strip() for line in file if line.strip()]
        if ".jsonl" in path.suffixes:
            lines = [str(json.loads(line)["query"]) for line in lines]
    except (OSError, ValueError, KeyError, TypeError, lzma.LZMAError) as error:
        raise InvalidRequest(
            f"读不了问题 {path}：{error!r}", f"Can not read questions from {path}: {error!r}"
        ) from None
    if not lines:
        raise InvalidRequest(f"{path} 里没有问题", f"{path} holds no question")
    return tuple(lines)
