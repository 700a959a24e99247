"""Token ids become text, piece by piece."""

from collections.abc import Callable, Sequence

BROKEN = "\ufffd"
"""What a tokenizer shows for bytes that are no whole character."""


class Detokenizer:
    """The pieces, put together, are the decoded whole; none ends in the middle of a character.

    A token's text depends on the one before (spaces, bytes of one character), so each piece is the difference between
    decoding a short window of tokens with and without the newest ones.
    """

    def __init__(self, decode: Callable[[Sequence[int]], str]) -> None:
        self._decode = decode
        self._window: list[int] = []
        self._shown = 0
        """Tokens at the window's start whose text is out already: context for those after them."""

    def push(self, token_id: int) -> str:
        """The text that `token_id` completes, often one token's, possibly empty."""
        self._window.append(token_id)
        text = self._unshown()
        if not text or text.endswith(BROKEN):
            return ""
        self._window = self._window[self._shown :]
        self._shown = len(self._window)
        return text

    def flush(self) -> str:
        """What is left at the end; bytes that never became a character are dropped."""
        return self._unshown().rstrip(BROKEN)

    def _unshown(self) -> str:
        before = self._decode(self._window[: self._shown])
        return self._decode(self._window)[len(before) :]
