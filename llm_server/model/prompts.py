"""Conversations become token ids that fit into the model's context window."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, replace
from typing import Any, NamedTuple

from jinja2.exceptions import TemplateError

from llm_server.engines.engine import Prompt
from llm_server.model.loaded import LoadedModel
from service_kit.errors import ContextTooLong, InvalidRequest
from service_kit.generation import Message

ANSWER_SHARE = 4
"""Older rounds are left out until an answer has max_tokens, or a quarter of the window, whichever is less."""

PROMPT_SHARE = 4
"""By a model's own rule an answer may ask for all but a quarter of the window."""


class FittedPrompt(NamedTuple):
    """Token ids to start from, and how many tokens the answer may have."""

    ids: list[int]
    max_tokens: int


def encode(tokenizer: Any, prompt: Prompt) -> list[int]:
    """All of `prompt` as the model reads it. Without a chat template: its texts, one a line, to be gone on with.

    Raises:
        InvalidRequest: the chat template refuses these messages.
    """
    if isinstance(prompt, str):
        return _ids(tokenizer, prompt, special=True)
    if not tokenizer.chat_template:
        return _ids(tokenizer, "\n".join(message.content for message in prompt), special=True)
    try:
        return _in_template(prompt, lambda messages: _templated(tokenizer, messages))
    except TemplateError as error:
        raise _refused(error) from None


def fit_to(loaded: LoadedModel, prompt: Prompt, max_tokens: int) -> FittedPrompt:
    """As `fit`, or by the model's own rule where its tokenizer has one (`fit_chat`: Baichuan2).

    Raises:
        ContextTooLong, InvalidRequest: as `fit` and `encode`.
    """
    tokenizer, window = loaded.tokenizer, loaded.max_model_len
    own_rule = getattr(tokenizer, "fit_chat", None)
    if own_rule is None or window is None or isinstance(prompt, str):
        return fit(lambda part: encode(tokenizer, part), prompt, max_tokens, window)
    max_tokens = min(max_tokens, window - window // PROMPT_SHARE)
    try:
        ids = _in_template(prompt, lambda messages: own_rule(_turns(messages), window - max_tokens))
    except TemplateError as error:
        raise _refused(error) from None
    return FittedPrompt(ids, max_tokens)


def encode_one_token(tokenizer: Any, text: str) -> int:
    """The id of `text` as a continuation.

    Raises:
        InvalidRequest: it is not one token.
    """
    ids = _ids(tokenizer, text, special=False)
    if len(ids) > 1 and not tokenizer.decode(ids[:1]).strip():
        ids = ids[1:]  # the word boundary that SentencePiece puts before any text
    if len(ids) != 1:
        raise InvalidRequest(f"“{text}” 不是单个词元", f"“{text}” is not a single token", allowed="one token each")
    return ids[0]


def fit(
    encode_prompt: Callable[[Prompt], list[int]], prompt: Prompt, max_tokens: int, window: int | None
) -> FittedPrompt:
    """`prompt` without as many of its oldest rounds as must go; system messages and the last round stay.

    Raises:
        ContextTooLong: what must stay leaves no room for one token; states both numbers.
    """
    ids = encode_prompt(prompt)
    if window is None:
        return FittedPrompt(ids, max_tokens)
    most = window - min(max_tokens, window // ANSWER_SHARE)
    if len(ids) > most and not isinstance(prompt, str):
        ids = _newest_that_fit(encode_prompt, prompt, most)
    if len(ids) >= window:
        raise ContextTooLong(
            f"提示有 {len(ids)} 个词元，已略去较早的轮次，模型的上下文只有 {window}",
            f"The prompt has {len(ids)} tokens, its older rounds left out; the model's context window is {window}",
            details={"prompt_tokens": len(ids), "max_model_len": window},
        )
    return FittedPrompt(ids, min(max_tokens, window - len(ids)))


def without_oldest(messages: Sequence[Message], rounds: int) -> tuple[Message, ...]:
    """`messages` less its first `rounds` rounds. A round begins with a user's message; system messages stay."""
    kept, seen = [], 0
    for message in messages:
        seen += message.role == "user"
        if message.role == "system" or seen > rounds:
            kept.append(message)
    return tuple(kept)


def _newest_that_fit(
    encode_prompt: Callable[[Prompt], list[int]], messages: tuple[Message, ...], most: int
) -> list[int]:
    """Token ids with the fewest rounds left out that have at most `most` tokens, or those of the last round alone."""
    low, high = 0, max(0, sum(message.role == "user" for message in messages) - 1)
    ids = encode_prompt(without_oldest(messages, high))
    # Fewer rounds, fewer tokens: halving, for a body may hold thousands of rounds.
    while low < high:
        middle = (low + high) // 2
        tried = encode_prompt(without_oldest(messages, middle))
        if len(tried) <= most:
            high, ids = middle, tried
        else:
            low = middle + 1
    return ids


def _in_template(messages: tuple[Message, ...], fill: Callable[[tuple[Message, ...]], list[int]]) -> list[int]:
    try:
        return fill(messages)
    except TemplateError:
        # Some templates (Gemma's) know no system role: its text then leads the first question.
        merged = _system_into_first_user(messages)
        if merged == messages:
            raise
        return fill(merged)


def _templated(tokenizer: Any, messages: tuple[Message, ...]) -> list[int]:
    if own_way := getattr(tokenizer, "chat_ids", None):  # Baichuan2: no content can forge a turn
        ids: list[int] = own_way(_turns(messages))
        return ids
    plain = tuple(replace(message, content=_defused(tokenizer, message.content)) for message in messages)
    text = tokenizer.apply_chat_template(_turns(plain), tokenize=False, add_generation_prompt=True)
    return _ids(tokenizer, text, special=False)  # the template writes them itself


def _defused(tokenizer: Any, content: str) -> str:
    """`content` in which no special token stands: written in a message it would end the speaker's turn."""
    for token in sorted(_special_texts(tokenizer), key=len, reverse=True):
        if token in content:
            content = content.replace(token, f"{token[:1]} {token[1:]}")
    return content


def _special_texts(tokenizer: Any) -> set[str]:
    added = getattr(tokenizer, "added_tokens_decoder", {}).values()
    special = {token.content for token in added if token.special} | set(getattr(tokenizer, "all_special_tokens", ()))
    return {text for text in special if len(text) > 1 and not text.isspace()}


def _turns(messages: tuple[Message, ...]) -> list[dict[str, str]]:
    return [asdict(message) for message in messages]


def _refused(error: TemplateError) -> InvalidRequest:
    return InvalidRequest(
        f"模型的对话模板不接受这些消息：{error}", f"The model's chat template refuses these messages: {error}"
    )


def _system_into_first_user(messages: tuple[Message, ...]) -> tuple[Message, ...]:
    system = "\n".join(message.content for message in messages if message.role == "system")
    talk = [message for message in messages if message.role != "system"]
    if not system or not talk or talk[0].role != "user":
        return messages
    return (Message("user", f"{system}\n\n{talk[0].content}"), *talk[1:])


def _ids(tokenizer: Any, text: str, *, special: bool) -> list[int]:
    if encode_plain := getattr(tokenizer, "encode_plain", None):
        plain: list[int] = encode_plain(text)
        return plain
    ids: list[int] = tokenizer(text, add_special_tokens=special, verbose=False)["input_ids"]
    return ids
