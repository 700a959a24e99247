"""Conversations as Baichuan2-Chat was trained on them.

System text, then for each message the token of its role and its content; at the end the assistant's token, unless the
last message is the assistant's own, which is then gone on with. No begin, end or separator tokens.
"""

from collections.abc import Mapping, Sequence
from typing import Protocol

from jinja2.exceptions import TemplateError

from service_kit.errors import ContextTooLong

USER_ID = 195
ASSISTANT_ID = 196

TEMPLATE = (
    "{% for message in messages %}"
    "{% if message['role'] == 'system' %}"
    "{% if not loop.first %}{{ raise_exception('only the first message can be the system\\'s') }}{% endif %}"
    "{% elif message['role'] == 'user' %}<reserved_106>"
    "{% else %}<reserved_107>{% endif %}"
    "{{ message['content'] }}"
    "{% endfor %}"
    "{% if add_generation_prompt and messages[-1]['role'] != 'assistant' %}<reserved_107>{% endif %}"
)
"""The same as text. `<reserved_106>` and `<reserved_107>` are the pieces USER_ID and ASSISTANT_ID."""

Turns = Sequence[Mapping[str, str]]
"""Messages with `role` and `content`. A role that is neither system nor user counts as the assistant's."""


class PlainEncoder(Protocol):
    """The part of the tokenizer that is needed here."""

    def encode_plain(self, text: str) -> list[int]: ...

    def is_mid_character(self, token_id: int) -> bool: ...


def encode(tokenizer: PlainEncoder, turns: Turns, *, answer: bool = True) -> list[int]:
    """Ids of the whole conversation; with `answer` the assistant's turn is opened. No content can forge a turn.

    Raises:
        TemplateError: no messages, or a system message that is not the first.
    """
    system, messages = _encoded(tokenizer, turns)
    return system + _joined(messages) + _opening(turns, answer)


def fit(tokenizer: PlainEncoder, turns: Turns, most: int) -> list[int]:
    """Ids of the newest whole rounds with which the conversation has at most `most` tokens.

    A round is a user's message and what follows it; the search for more ends at the first that does not fit. When the
    last round alone is too long, the beginning of its texts is cut. The published code cuts the beginning of everything
    there: system text and the user's token go first.

    Raises:
        TemplateError: as `encode`.
        ContextTooLong: nothing is left to cut; states both numbers.
    """
    system, messages = _encoded(tokenizer, turns)
    opening = _opening(turns, answer=True)
    rounds = _rounds(messages)
    room = most - len(system) - len(opening)
    kept = rounds[-1:]
    used = _length(kept[0]) if kept else 0
    for older in reversed(rounds[:-1]):
        used += _length(older)
        if used > room:
            break
        kept.insert(0, older)
    if len(kept) == 1:
        kept = [_cut(tokenizer, kept[0], room)]
    ids = system + [token for part in kept for token in _joined(part)] + opening
    if len(ids) > most:
        raise ContextTooLong(
            f"系统文本与角色标记已有 {len(ids)} 个词元，提示最多 {most} 个词元",
            f"System text and roles alone have {len(ids)} tokens; a prompt has room for {most}",
            details={"prompt_tokens": len(ids), "max_prompt_tokens": most},
        )
    return ids


Encoded = list[tuple[int, list[int]]]
"""The role's token and the content's ids of each message."""


def _encoded(tokenizer: PlainEncoder, turns: Turns) -> tuple[list[int], Encoded]:
    if not turns:
        raise TemplateError("no messages")
    has_system = turns[0]["role"] == "system"
    rest = turns[has_system:]
    if any(turn["role"] == "system" for turn in rest):
        raise TemplateError("only the first message can be the system's")
    system = tokenizer.encode_plain(turns[0]["content"]) if has_system else []
    return system, [
        (USER_ID if turn["role"] == "user" else ASSISTANT_ID, tokenizer.encode_plain(turn["content"])) for turn in rest
    ]


def _opening(turns: Turns, answer: bool) -> list[int]:
    return [ASSISTANT_ID] if answer and turns[-1]["role"] != "assistant" else []


def _rounds(messages: Encoded) -> list[Encoded]:
    rounds: list[Encoded] = []
    for message in messages:
        if message[0] == USER_ID or not rounds:
            rounds.append([])
        rounds[-1].append(message)
    return rounds


def _joined(messages: Encoded) -> list[int]:
    return [token for role, content in messages for token in (role, *content)]


def _length(messages: Encoded) -> int:
    return sum(1 + len(content) for _, content in messages)


def _cut(tokenizer: PlainEncoder, messages: Encoded, room: int) -> Encoded:
    """`messages` with the beginnings of their contents cut, the first message's first, never within a character."""
    over = _length(messages) - room
    cut: Encoded = []
    for role, content in messages:
        start = max(0, min(over, len(content)))
        over -= start
        while start and start < len(content) and tokenizer.is_mid_character(content[start]):
            start += 1
        cut.append((role, content[start:]))
    return cut
