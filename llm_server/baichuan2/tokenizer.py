"""Text to Baichuan2's token ids and back, by the checkpoint's own `tokenizer.model`."""

import re
from collections.abc import Iterator, Mapping, Sequence
from itertools import groupby
from typing import Any

from transformers.tokenization_utils_sentencepiece import SentencePieceBackend

from llm_server.baichuan2 import chat

RESERVED = re.compile(r"<reserved_\d+>")
"""User-defined pieces of the vocabulary without a meaning of their own; two of them begin the turns of a chat."""


class BaichuanTokenizer(SentencePieceBackend):
    """As the published class, on current transformers, and safe in a chat.

    `tokenizer(text)` reads `</s>`, `<s>`, `<unk>` and `<reserved_…>` in a text as those tokens, as the published class
    does; `encode_plain` and the chat template read them as the characters they are.
    """

    model_input_names = ["input_ids", "attention_mask"]  # noqa: RUF012

    def __init__(self, vocab_file: str, **kwargs: Any) -> None:
        kwargs.setdefault("chat_template", chat.TEMPLATE)
        for name, token in (("unk", "<unk>"), ("bos", "<s>"), ("eos", "</s>"), ("pad", "<unk>")):
            kwargs.setdefault(f"{name}_token", token)
        kwargs.pop("legacy", None)
        super().__init__(vocab_file=vocab_file, **kwargs)  # type: ignore[no-untyped-call]
        pieces = [self.sp_model.id_to_piece(i) for i in range(self.sp_model.get_piece_size())]
        self._reserved = {i for i, piece in enumerate(pieces) if RESERVED.fullmatch(piece)}
        self.shows_reserved = True
        """Whether `decode(…, skip_special_tokens=True)` shows reserved tokens, as the published class does."""

    def encode_plain(self, text: str) -> list[int]:
        """Ids of `text` among which there is no special and no reserved one, whatever it says."""
        ids: list[int] = []
        # No piece goes across a cut, so `<` and `reserved_106>` never become the one piece `<reserved_106>`.
        cuts = [match.start() + 1 for match in RESERVED.finditer(text)]
        for start, end in zip([0, *cuts], [*cuts, len(text)], strict=True):
            ids += self.sp_model.encode(text[start:end])
        return ids

    def is_mid_character(self, token_id: int) -> bool:
        """Whether the token is a byte that continues a character begun before it."""
        if not self.sp_model.is_byte(token_id):
            return False
        return 0x80 <= int(self.sp_model.id_to_piece(token_id)[1:-1], 16) < 0xC0

    def fit_chat(self, turns: Sequence[Mapping[str, str]], most: int) -> list[int]:
        """See chat.fit."""
        return chat.fit(self, turns, most)

    def chat_ids(self, turns: Sequence[Mapping[str, str]]) -> list[int]:
        """See chat.encode."""
        return chat.encode(self, turns)

    # What transformers calls.

    def tokenize(self, text: str, *_: Any, **kwargs: Any) -> list[str]:
        """The pieces of `text`; `split_special_tokens=True` as in `encode_plain`."""
        if kwargs.get("split_special_tokens", self.split_special_tokens):
            return [self.sp_model.id_to_piece(i) for i in self.encode_plain(text)]
        special = "|".join(map(re.escape, set(self.all_special_tokens)))
        pieces: list[str] = []
        for part in re.split(f"({special})", text):
            pieces += [part] if part in self.all_special_tokens else self.sp_model.encode(part, out_type=str)
        return pieces

    def apply_chat_template(  # type: ignore[override]
        self,
        conversation: Any,
        *,
        add_generation_prompt: bool = False,
        tokenize: bool = True,
        return_dict: bool = True,
        return_tensors: str | None = None,
        padding: bool = False,
        **options: Any,
    ) -> Any:
        """As everywhere in transformers; with `tokenize` no content can forge a turn.

        With `tokenize=False` the result is one text, in which a forged turn can not be told from a real one any more.

        Raises:
            ValueError: an option that only makes sense without `tokenize`, such as another template.
        """
        if not tokenize:
            return super().apply_chat_template(
                conversation, add_generation_prompt=add_generation_prompt, tokenize=False, **options
            )
        if given := [name for name, value in options.items() if value]:
            raise ValueError(f"{', '.join(given)}: not with tokenize=True")
        is_batch = not isinstance(conversation[0], Mapping)
        batch = [
            chat.encode(self, turns, answer=add_generation_prompt)
            for turns in (conversation if is_batch else [conversation])
        ]
        ids: Any = batch if is_batch or return_tensors else batch[0]
        encoded: Any = self.pad({"input_ids": ids}, padding=padding, return_tensors=return_tensors)
        return encoded if return_dict else encoded["input_ids"]

    def _decode(self, token_ids: int | list[int], skip_special_tokens: bool = False, *_: Any, **__: Any) -> str:
        ids = [token_ids] if isinstance(token_ids, int) else list(token_ids)
        if skip_special_tokens:
            hidden = set(self.all_special_ids) | (set() if self.shows_reserved else self._reserved)
            return str(self.sp_model.decode([i for i in ids if i not in hidden]))
        return "".join(self._with_special(ids))

    def _with_special(self, ids: list[int]) -> Iterator[str]:
        """The published class puts a space before each text that a special token follows."""
        special = set(self.all_special_ids)
        runs = [(is_special, list(run)) for is_special, run in groupby(ids, lambda i: i in special)]
        for n, (is_special, run) in enumerate(runs):
            if is_special:
                yield "".join(self.sp_model.id_to_piece(i) for i in run)
            else:
                yield (" " if n + 1 < len(runs) else "") + self.sp_model.decode(run)
