"""The hand-over of an answer from the thread that makes it to the one that reads it."""

import threading

import pytest

from service_kit.deadline import Deadline
from service_kit.errors import ClientGone, DeadlineExceeded, GenerationFailed
from service_kit.generation import Generation, Usage


def test_a_reader_gets_the_pieces_and_then_how_it_ended() -> None:
    generation = Generation(Deadline())
    for piece in ("一", "", "二"):
        generation.emit(piece)
    generation.finish("length", Usage(3, 2))
    assert list(generation) == ["一", "二"]
    assert (generation.finish_reason, generation.usage) == ("length", Usage(3, 2))


def test_what_the_maker_fails_with_comes_after_the_pieces() -> None:
    generation = Generation(Deadline())
    generation.emit("一")
    generation.fail(GenerationFailed("坏", "broken"))
    pieces = iter(generation)
    assert next(pieces) == "一"
    with pytest.raises(GenerationFailed):
        next(pieces)


def test_a_reader_does_not_wait_beyond_the_deadline() -> None:
    generation = Generation(Deadline.after(0.05))
    with pytest.raises(DeadlineExceeded):
        next(iter(generation))
    assert isinstance(generation.why_stop(), ClientGone)


def test_a_reader_does_not_wait_for_a_client_that_is_gone() -> None:
    gone = threading.Event()
    generation = Generation(Deadline(), gone.is_set)
    threading.Timer(0.05, gone.set).start()
    with pytest.raises(ClientGone):
        next(iter(generation))


def test_leaving_early_tells_the_maker_once() -> None:
    calls: list[int] = []
    generation = Generation(Deadline())
    generation.on_cancel(lambda: calls.append(1))
    generation.emit("一")
    pieces = iter(generation)
    next(pieces)
    assert generation.why_stop() is None
    del pieces
    generation.cancel()
    assert isinstance(generation.why_stop(), ClientGone)
    assert calls == [1]


def test_a_maker_that_starts_listening_late_hears_of_a_reader_who_left() -> None:
    calls: list[int] = []
    generation = Generation(Deadline())
    generation.cancel()
    generation.on_cancel(lambda: calls.append(1))
    assert calls == [1]
