"""A mark for each session that no other session's answer may ever show."""

import re
import uuid

_CANARY = re.compile(r"YJ[0-9a-f]{12}")


def new_canary() -> str:
    """A word that occurs in no document: `YJ` and 12 hex digits."""
    return f"YJ{uuid.uuid4().hex[:12]}"


def marked(question: str, canary: str) -> str:
    """`question` with the mark in front, where a topic that is carried over takes it along."""
    return f"{canary}号项目：{question}"


def foreign_canaries(body: str, own: str) -> int:
    """How many different marks of other sessions `body` shows.

    >>> foreign_canaries("YJ0123456789ab YJ0123456789ac YJ0123456789ac", "YJ0123456789ab")
    1
    """
    return len(set(_CANARY.findall(body)) - {own})
