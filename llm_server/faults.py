"""Unexpected exceptions, told in one line: the log has the rest."""

from service_kit.errors import GenerationFailed


def first_line(error: BaseException) -> str:
    """An exception as a caller may see it."""
    text = str(error).strip().split("\n", 1)[0][:300]
    return f"{type(error).__name__}: {text}" if text else type(error).__name__


def generation_failed(error: BaseException) -> GenerationFailed:
    """What the caller gets when the model breaks."""
    reason = first_line(error)
    return GenerationFailed(reason, reason)
