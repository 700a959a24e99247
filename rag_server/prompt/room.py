"""How much of the material fits into the model's context window. Pure functions over token counts."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass

from service_kit.errors import ContextTooLong

Counter = Callable[[Sequence[str]], Sequence[int]]
"""Texts in, how many tokens each has out."""

ANSWER_SHARE = 4
"""Room for an answer: max_tokens, or a quarter of the window, whichever is less (llm_server's own rule)."""
AROUND = 16
"""Tokens that a chat template puts around one message, at most."""


@dataclass(frozen=True)
class Model:
    """What is known of the model that answers."""

    max_model_len: int | None = None
    """Tokens that prompt and answer may have together; None when nobody knows: then nothing is left out."""
    has_chat_template: bool = True


@dataclass(frozen=True)
class Material:
    """What a prompt is made of. `frame` is what must stay: system text, task and question."""

    frame: str
    passages: tuple[tuple[str, ...], ...]
    """The sentences of each passage, the best passage first."""
    starts: Callable[[], Sequence[int]]
    """Of each passage, the sentence to begin with when it does not fit: the one nearest to the question. Asked for only
    when it may get tight."""
    rounds: tuple[tuple[str, ...], ...]
    """The texts of each round of the history, the oldest first."""


@dataclass(frozen=True)
class Kept:
    """Which sentences of each passage ([start, end), equal when none) and how many of the newest rounds fit."""

    sentences: tuple[tuple[int, int], ...]
    rounds: int


def fit(material: Material, window: int | None, max_tokens: int, count: Counter) -> Kept:
    """As much as fits: passages before history, of a passage its sentences around the best one, the newest rounds.

    Texts of fewer bytes than there are tokens fit for certain (no tokenizer has tokens of less than a byte): then
    nothing is counted.

    Raises:
        ContextTooLong: the frame alone does not fit; states both numbers.
    """
    everything = Kept(tuple((0, len(one)) for one in material.passages), len(material.rounds))
    if window is None:
        return everything
    texts = _texts(material)
    room = window - min(max_tokens, window // ANSWER_SHARE) - AROUND * (2 + sum(map(len, material.rounds)))
    if len("".join(texts).encode()) <= room:
        return everything
    counts = list(count(texts))
    frame = counts[0] + 2 * AROUND
    room = window - min(max_tokens, window // ANSWER_SHARE) - frame
    if room < 0:
        raise ContextTooLong(
            f"问题连同系统提示有 {frame} 个词元，模型的上下文只有 {window}",
            f"The question with its system text has {frame} tokens; the model's context window is {window}",
            details={"prompt_tokens": frame, "max_model_len": window},
        )
    rest = iter(counts[1:])
    sentences = []
    for passage, start in zip(material.passages, material.starts(), strict=True):
        span, used = _around(start, [next(rest) for _ in passage], room)
        sentences.append(span)
        room -= used
    rounds = [sum(next(rest) + AROUND for _ in one) for one in material.rounds]
    return Kept(tuple(sentences), _newest(rounds, room))


def estimate(texts: Sequence[str]) -> list[int]:
    """Tokens of each text for a model whose tokenizer can not be asked: one a Chinese character, one for every three
    bytes of anything else. Rather too many: common tokenizers need 0.6 to 1 a character and 4 letters a token."""
    return [
        sum(1 if character > "\u2e7f" else len(character.encode()) / 3 for character in text).__ceil__()
        for text in texts
    ]


def _texts(material: Material) -> list[str]:
    passages = [sentence for passage in material.passages for sentence in passage]
    return [material.frame, *passages, *(text for one in material.rounds for text in one)]


def _around(start: int, counts: Sequence[int], room: int) -> tuple[tuple[int, int], int]:
    """The longest span around `start` that fits, and its tokens: what follows first, then what precedes, in turn."""
    if sum(counts) <= room:
        return (0, len(counts)), sum(counts)
    if not counts or counts[start] > room:
        return (0, 0), 0
    first, end, used = start, start + 1, counts[start]
    grows = True
    while grows:
        grows = False
        if end < len(counts) and used + counts[end] <= room:
            used, end, grows = used + counts[end], end + 1, True
        if first and used + counts[first - 1] <= room:
            used, first, grows = used + counts[first - 1], first - 1, True
    return (first, end), used


def _newest(rounds: Sequence[int], room: int) -> int:
    kept = 0
    for tokens in reversed(rounds):
        room -= tokens
        if room < 0:
            break
        kept += 1
    return kept
