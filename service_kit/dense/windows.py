"""A passage -> the pieces that are embedded. Pure functions.

One vector for a long passage is a mean of everything it speaks of; a question is about one thing. So a passage is cut
into windows of about TARGET characters at sentence ends, each embedded with the passage's title, and the best window
speaks for the passage.
"""

import re

VERSION = 1
"""Vectors of windows that another version of this file cut are made anew."""

TARGET = 130
"""Characters of a window, the title not counted."""
MAX_TITLE = 80
"""Characters of a title that go along; a window is not to drown in it."""

LONGEST_QUESTION = 600
"""Characters of a question that are embedded: models read 512 tokens, and the time grows with the length (e5: a minute
of a core for 20,000)."""

_SENTENCE = re.compile(r"[^。！？；!?;\n]*[。！？；!?;\n]+[”’」』）)\"']*|[^。！？；!?;\n]+")
_CLAUSE = re.compile(r"[^，、：,:]*[，、：,:]+|[^，、：,:]+")


def windows(title: str, text: str) -> list[str]:
    """What to embed for a passage: `title\\nwindow` each, in the order of the text; never empty.

    Sentences stay whole unless one alone is longer than a window; it is cut at commas, else anywhere.
    """
    head = title.strip()[:MAX_TITLE]
    pieces = [piece for sentence in _SENTENCE.findall(text) for piece in _fitting(sentence)]
    return [f"{head}\n{window}".strip() for window in _packed(pieces)] or [head]


def ends(question: str) -> str:
    """The question, or its beginning and its end: what is asked stands before or behind a text that was pasted in."""
    if len(question) <= LONGEST_QUESTION:
        return question
    half = LONGEST_QUESTION // 2
    return f"{question[:half]}\n{question[-half:]}"


def _fitting(sentence: str) -> list[str]:
    """The sentence, or its parts when it is longer than a window."""
    if len(sentence) <= TARGET:
        return [sentence]
    clauses = [clause[at : at + TARGET] for clause in _CLAUSE.findall(sentence) for at in range(0, len(clause), TARGET)]
    return _packed(clauses)


def _packed(pieces: list[str]) -> list[str]:
    """Neighbours joined while they fit; a short rest joins the last window, even if that grows by half."""
    packed: list[str] = []
    for piece in pieces:
        if packed and len(packed[-1]) + len(piece) <= TARGET:
            packed[-1] += piece
        else:
            packed.append(piece)
    if len(packed) > 1 and len(packed[-1]) < TARGET // 3:
        packed[-2:] = [packed[-2] + packed[-1]]
    return [window.strip() for window in packed if window.strip()]
