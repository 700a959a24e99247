"""What the clients ask: conversations of a wanted length in SmolLM2's tokens, none like another."""

import random
import threading
import time
from itertools import count, pairwise
from typing import NamedTuple

import requests

from tools.llm_bench.clients import Answered, Messages, Talk, ask

_WORDS = (
    "river budget market winter garden bridge council paper forest engine school harbour letter window island mirror "
    "castle lesson planet rocket doctor signal kitchen village bottle summer travel animal circle museum"
)


class Workload(NamedTuple):
    """One question to one answer, in tokens; an answer may end earlier."""

    name: str
    prompt_tokens: int
    max_tokens: int


SHORT, RAG = Workload("short", 76, 64), Workload("rag", 900, 32)

_serial_numbers = count(1)


def conversation(url: str, tokens: int, history: Messages | None = None) -> Messages:
    """`history` and a question, with about `tokens` tokens in all, template included (within one word)."""
    number = next(_serial_numbers)
    draw = random.Random(number)  # noqa: S311
    words = [draw.choice(_WORDS.split()) for _ in range(tokens)]
    ask_for = "\nWrite a long story that uses all of these words, in many paragraphs."

    def messages(size: int) -> Messages:
        return [*(history or []), {"role": "user", "content": f"Story {number}: {' '.join(words[:size])}.{ask_for}"}]

    low, high = 1, tokens
    while low < high:
        middle = (low + high + 1) // 2
        if _count(url, messages(middle)) <= tokens:
            low = middle
        else:
            high = middle - 1
    return messages(low)


def single(url: str, messages: Messages, max_tokens: int) -> Talk:
    """One question."""
    return lambda: [ask(url, messages, max_tokens)]


def session(url: str, tokens: int, turns: int, max_tokens: int) -> Talk:
    """As many questions of `tokens` tokens, each with all that was said before it."""
    questions = [conversation(url, tokens)[0] for _ in range(turns)]

    def talk() -> list[Answered]:
        said: Messages = []
        answers = []
        for question in questions:
            said.append(question)
            answers.append(ask(url, said, max_tokens))
            said.append({"role": "assistant", "content": answers[-1].text})
        return answers

    return talk


def _count(url: str, messages: Messages) -> int:
    response = requests.post(f"{url}/v1/tokenize", json={"messages": messages}, timeout=60)
    response.raise_for_status()
    return int(response.json()["count"])


def third_turn_ttft(url: str) -> tuple[float, float]:
    """Seconds to the first text of a session's third turn with 2,000 tokens before it, and of the same length unknown.

    The history's answers are the server's own.
    """
    talk: Messages = []
    for tokens in (1000, 2000):
        talk = conversation(url, tokens, talk)
        talk.append({"role": "assistant", "content": ask(url, talk, 16).text})
    third = [*talk, {"role": "user", "content": "And what happened then?"}]
    reused = ask(url, third, 8)
    fresh = ask(url, conversation(url, reused.prompt_tokens), 8)
    return reused.ttft, fresh.ttft


def longest_stall(url: str) -> float:
    """The longest pause of a stream while a RAG-length prompt is admitted, seconds."""
    stream = Answered()
    running = threading.Thread(target=ask, args=(url, conversation(url, SHORT.prompt_tokens), 160, stream))
    running.start()
    while len(stream.at) < 10:
        time.sleep(0.01)
    before = len(stream.at)
    ask(url, conversation(url, RAG.prompt_tokens), 2)
    after = len(stream.at)
    running.join()
    at = stream.at[before - 1 : after + 1]
    return max(later - earlier for earlier, later in pairwise(at))
