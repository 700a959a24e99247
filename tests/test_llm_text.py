"""Tokens become text that never breaks a character and never passes a stop string."""

import pytest

from llm_server.model.answer import Answer
from llm_server.model.detokenizer import Detokenizer
from llm_server.model.sampling import Choice
from llm_server.model.stop_strings import StopStrings
from service_kit.deadline import Deadline
from service_kit.errors import DeadlineExceeded
from service_kit.generation import Generation, Usage
from tests.llm_fixtures import ByteTokenizer

decode = ByteTokenizer().decode
END = 256


def pieces_of(text: str) -> list[str]:
    detokenizer = Detokenizer(decode)
    return [detokenizer.push(byte) for byte in text.encode()] + [detokenizer.flush()]


def test_a_character_comes_out_when_its_last_byte_has_come() -> None:
    assert pieces_of("债a") == ["", "", "债", "a", ""]


def test_pieces_put_together_are_the_whole() -> None:
    text = "专项债务 special 🏦 debt。\n\n二"
    assert "".join(pieces_of(text)) == text


def test_half_a_character_at_the_end_is_dropped() -> None:
    detokenizer = Detokenizer(decode)
    assert [detokenizer.push(byte) for byte in "好债".encode()[:5]] == ["", "", "好", "", ""]
    assert detokenizer.flush() == ""


def test_bytes_that_are_no_text_do_not_stop_the_rest() -> None:
    detokenizer = Detokenizer(decode)
    shown = "".join(detokenizer.push(byte) for byte in b"a\xff\xfeb")
    assert shown == "a\ufffd\ufffdb"


@pytest.mark.parametrize("size", [1, 2, 3, 100])
@pytest.mark.parametrize(
    ("stops", "text", "shown"),
    [
        (["\n\n"], "一\n二\n\n三", "一\n二"),
        (["User:", "ser"], "a user", "a u"),
        (["END"], "ENEND", "EN"),
        (["END"], "E EN", "E EN"),
        (["aab"], "aaab", "a"),
        ([], "all", "all"),
    ],
)
def test_stop_strings_end_the_text_however_it_is_cut(size: int, stops: list[str], text: str, shown: str) -> None:
    stop = StopStrings(stops)
    out = ""
    for start in range(0, len(text), size):
        out += stop.push(text[start : start + size])
        assert shown.startswith(out)
    assert out + stop.flush() == shown
    assert stop.met == (shown != text)


def make_answer(generation: Generation, *stop: str, max_tokens: int = 100) -> Answer:
    choice = Choice(0.0, 1.0, 0, 1.0, None, stop, max_tokens)
    return Answer(generation, choice, prompt_tokens=5, stop_ids=(END,), decode=decode)


def feed(answer: Answer, tokens: list[int]) -> int:
    """Give tokens until the answer has enough; how many it took."""
    taken = 0
    while not answer.ended and taken < len(tokens):
        answer.take(tokens[taken])
        taken += 1
    answer.close()
    return taken


@pytest.mark.parametrize(
    ("stop", "max_tokens", "shown", "taken", "reason"),
    [
        ((), 100, "一二", 7, "stop"),
        ((), 6, "一二", 6, "length"),
        ((), 5, "一", 5, "length"),
        (("二",), 100, "一", 6, "stop"),
        (("二!",), 100, "一二", 7, "stop"),
    ],
)
def test_an_answer_ends_for_one_reason(
    stop: tuple[str, ...], max_tokens: int, shown: str, taken: int, reason: str
) -> None:
    generation = Generation(Deadline())
    answer = make_answer(generation, *stop, max_tokens=max_tokens)
    assert feed(answer, [*"一二".encode(), END, 1, 2]) == taken
    assert "".join(generation) == shown
    assert (generation.finish_reason, generation.usage) == (reason, Usage(5, taken))


def test_an_answer_ends_at_the_step_at_which_its_reader_has_left() -> None:
    generation = Generation(Deadline())
    answer = make_answer(generation)
    answer.take(65)
    generation.cancel()
    assert feed(answer, [66, 67, 68]) == 1


def test_an_answer_whose_deadline_has_passed_fails() -> None:
    generation = Generation(Deadline.after(-1))
    assert feed(make_answer(generation), [66, 67]) == 1
    with pytest.raises(DeadlineExceeded):
        list(generation)
