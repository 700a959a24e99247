"""How long a text is for a model."""

import re
from collections.abc import Callable
from typing import cast

from service_kit.errors import InvalidRequest

Count = Callable[[str], int]
"""Text -> tokens."""

_LATIN = re.compile(r"[A-Za-z]+")
_LETTERS_A_TOKEN = 4


def estimate(text: str) -> int:
    """At most a little too many: one token a character, but Latin words at one per four letters, and blanks free.

    Tokenizers of Chinese models make 0.6 to 0.9 tokens of a Chinese character and often one of a digit.
    """
    words = list(map(len, _LATIN.findall(text)))
    solid = sum(map(len, text.split()))
    return solid - sum(words) + sum(-(-length // _LETTERS_A_TOKEN) for length in words)


def counter(model: str | None) -> Count:
    """The count by a model's own tokenizer (a folder or a hub name), or the estimate.

    Raises:
        InvalidRequest: transformers is not installed, or there is no such tokenizer.
    """
    if model is None:
        return estimate
    try:
        from transformers import AutoTokenizer  # noqa: PLC0415  # takes seconds, and most runs need none
    except ImportError:
        raise InvalidRequest(
            "--tokenizer 需要 transformers（llm 组）", "--tokenizer needs transformers (set llm)"
        ) from None
    try:
        tokenizer = AutoTokenizer.from_pretrained(model)
    except (OSError, ValueError) as error:
        raise InvalidRequest(f"读不了分词器 {model}：{error}", f"Can not load the tokenizer {model}: {error}") from None
    return lambda text: len(cast("list[int]", tokenizer.encode(text, add_special_tokens=False)))
