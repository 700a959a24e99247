"""Passages for timing: the benches' own, and as many more as wanted, recombined from their sentences."""

import random
import re
from collections.abc import Iterator, Sequence
from itertools import islice
from pathlib import Path

from service_kit.passages import Passage
from tools.retrieval_set import read_lines

SETS = (("cmrc.passages.jsonl", "cmrc.queries.jsonl"), ("law.passages.jsonl.xz", "law.queries.jsonl"))
SENTENCES = (1, 4)
"""Fewest and most sentences of a recombined passage: about as long as the real ones (155 and 128 characters)."""

_SENTENCE = re.compile(r"[^。！？]+[。！？]?")


def passages(bench: Path, count: int) -> Iterator[Passage]:
    """`count` passages, always the same ones: every real one at a random place among recombined ones."""
    real = [Passage(line["title"], line["text"]) for name, _ in SETS for line in read_lines(bench / name)]
    dice = random.Random(7)  # noqa: S311  # the same passages on every run
    dice.shuffle(real)
    yield from islice(real, count)
    yield from recombined(real, dice, count - len(real))


def recombined(real: Sequence[Passage], dice: random.Random, count: int) -> Iterator[Passage]:
    """Titles and sentences drawn from all real passages."""
    sentences = [found.strip() for passage in real for found in _SENTENCE.findall(passage.text) if found.strip()]
    for number in range(count):
        text = "".join(dice.choices(sentences, k=dice.randint(*SENTENCES)))
        yield Passage(dice.choice(real).title, text, page=str(number))


def questions(bench: Path, count: int) -> list[str]:
    """Real questions, as many of each set as the other, in a fixed random order."""
    dice = random.Random(7)  # noqa: S311
    drawn: list[str] = []
    for _, name in SETS:
        every = [line["query"] for line in read_lines(bench / name)]
        drawn += dice.sample(every, min(len(every), count // len(SETS)))
    dice.shuffle(drawn)
    return drawn
