"""The scheduler, the cache's rows, the prefixes and the draws, each by itself."""

import pytest

pytest.importorskip("torch")

import torch

from llm_server.batch.kv_cache import KeysValues, KvBlock, LayerPlan
from llm_server.batch.prefix_cache import SHORTEST, PrefixCache
from llm_server.batch.sampler import choose, log_probs
from llm_server.batch.scheduler import Scheduler
from llm_server.batch.sequence import Sequence
from llm_server.model.answer import Answer
from llm_server.model.sampling import Choice
from service_kit.deadline import Deadline
from service_kit.generation import Generation


def sequence(prompt: int, tokens: int, temperature: float = 0.0, top_k: int = 0, seed: int | None = None) -> Sequence:
    choice = Choice(temperature, 1.0, top_k, 1.0, seed, (), tokens)
    generation = Generation(Deadline())
    answer = Answer(generation, choice, prompt, (), lambda ids: "")
    return Sequence(list(range(prompt)), choice, generation, answer, "-")


def running(scheduler: Scheduler, *sequences: Sequence) -> None:
    scheduler.waiting.extend(sequences)
    scheduler.admit()
    for one in list(scheduler.prefilling):
        one.computed = len(one.prompt_ids)
        scheduler.run(one)


def test_admission_is_by_memory_and_in_order() -> None:
    scheduler = Scheduler(kv_tokens=100, max_rows=10, pass_tokens=10)
    big, small = sequence(50, 30), sequence(5, 5)
    scheduler.waiting.extend([sequence(20, 10), big, small])
    scheduler.admit()
    # The small one would fit, but must not overtake for ever.
    assert len(scheduler.prefilling) == 1
    assert list(scheduler.waiting) == [big, small]
    assert scheduler.free_rows == 0
    scheduler.leave(scheduler.prefilling[0])
    scheduler.admit()
    assert scheduler.prefilling == [big, small]
    assert scheduler.promised == 90


def test_admission_ends_at_the_last_row() -> None:
    scheduler = Scheduler(kv_tokens=1000, max_rows=2, pass_tokens=10)
    scheduler.waiting.extend(sequence(5, 5) for _ in range(5))
    scheduler.admit()
    assert (scheduler.rows, len(scheduler.waiting), scheduler.free_rows) == (2, 3, 0)


def test_long_and_short_prompts_are_read_in_turn() -> None:
    scheduler = Scheduler(kv_tokens=10_000, max_rows=9, pass_tokens=10)
    long, short = sequence(900, 5), sequence(20, 5)
    scheduler.prefilling += [long, short]
    assert [scheduler.next_to_prefill() for _ in range(4)] == [long, short, long, short]
    assert scheduler.next_to_prefill(at_most=30) is short
    assert scheduler.next_to_prefill(at_most=10) is None


def test_prompts_are_read_together_if_little_is_padded_and_nothing_is_promised_twice() -> None:
    scheduler = Scheduler(kv_tokens=1000, max_rows=20, pass_tokens=10)
    first, near, far, again = sequence(60, 5), sequence(40, 5), sequence(300, 5), sequence(80, 5)
    scheduler.prefilling += [first, near, far, again]
    assert scheduler.companions(first, at_most=240) == [near, again]
    assert scheduler.companions(first, at_most=239) == [near]
    assert scheduler.companions(first, at_most=100) == []
    far.foreseen = 250  # little to read, but a block as wide as all of it
    assert scheduler.companions(first, at_most=240) == [near, again]
    scheduler.kv_tokens = scheduler.promised + 19
    assert scheduler.companions(near, at_most=1000) == []
    assert scheduler.companions(first, at_most=1000) == []
    near.alone = True
    scheduler.kv_tokens = scheduler.promised + 20
    assert scheduler.companions(first, at_most=1000) == [again]


def test_rows_group_by_length_and_padding_is_promised() -> None:
    scheduler = Scheduler(kv_tokens=10_000, max_rows=9, pass_tokens=200)
    running(scheduler, sequence(20, 10), sequence(900, 10), sequence(30, 10), sequence(850, 10))
    assert [[len(one.prompt_ids) for one in group.members] for group in scheduler.groups] == [[20, 30], [900, 850]]
    assert scheduler.promised == 2 * 40 + 2 * 910
    assert scheduler.to_merge() is None


def test_no_group_is_joined_whose_padding_would_break_the_budget() -> None:
    scheduler = Scheduler(kv_tokens=250, max_rows=9, pass_tokens=10_000)
    running(scheduler, sequence(150, 10), sequence(20, 10))
    assert len(scheduler.groups) == 2
    assert scheduler.promised <= 250


def test_groups_become_one_when_the_long_row_has_left() -> None:
    scheduler = Scheduler(kv_tokens=10_000, max_rows=9, pass_tokens=200)
    long = sequence(900, 10)
    running(scheduler, long, sequence(20, 10), sequence(700, 10))
    assert len(scheduler.groups) == 2
    scheduler.groups[0].members[1].computed = 60  # as if it were short
    scheduler.leave(long)
    pair = scheduler.to_merge()
    assert pair
    scheduler.merge(*pair)
    assert [len(group.members) for group in scheduler.groups] == [2]


def test_a_group_expects_those_of_about_its_length() -> None:
    scheduler = Scheduler(kv_tokens=10_000, max_rows=9, pass_tokens=10_000)
    running(scheduler, sequence(300, 10))
    scheduler.waiting.extend([sequence(300, 10), sequence(150, 10), sequence(20, 10), sequence(900, 10)])
    scheduler.admit()
    (group,) = scheduler.groups
    assert scheduler.expected(group) == 2
    scheduler.prefilling[0].alone = True
    assert scheduler.expected(group) == 1
    scheduler.isolate(group)
    assert scheduler.expected(scheduler.groups[0]) == 0


def test_isolated_rows_never_meet_again() -> None:
    scheduler = Scheduler(kv_tokens=10_000, max_rows=9, pass_tokens=10_000)
    running(scheduler, sequence(20, 10), sequence(30, 10))
    scheduler.isolate(scheduler.groups[0])
    running(scheduler, sequence(25, 10))
    assert [len(group.members) for group in scheduler.groups] == [1, 1, 1]
    assert scheduler.to_merge() is None


def states(first: int, tokens: int) -> list[KeysValues]:
    """One layer, one row, one head, a head_dim of 1: the values count up from `first`."""
    line = torch.arange(first, first + tokens, dtype=torch.float32).reshape(1, 1, tokens, 1)
    return [KeysValues(line, -line)]


def test_rows_join_grow_and_leave_and_keep_what_is_theirs() -> None:
    block = KvBlock([LayerPlan(True, None)], 0)
    block.join([states(100, 3)], most=50)
    block.join([states(200, 5), states(300, 2)], most=50)
    layer = block.stored[0]
    for step in range(40):
        block.make_room(1, most=50)
        new = torch.tensor([1000.0, 2000.0, 3000.0]).reshape(3, 1, 1, 1) + step
        keys, _ = layer.update(new, -new)
        assert keys.shape == (3, 1, 5 + step + 1, 1)
        block.advance([1, 1, 1])
    block.leave(0)
    for row, (begin, length, late) in enumerate(((300, 2, 3000), (200, 5, 2000))):
        (kept,) = block.row(row)
        wanted = [*range(begin, begin + length), *range(late, late + 40)]
        assert kept.keys.flatten().tolist() == wanted
        assert kept.values.flatten().tolist() == [-value for value in wanted]
    assert torch.isfinite(layer.keys).all()
    assert layer.keys.shape[2] <= 50


def test_a_block_is_not_moved_for_rows_that_were_expected() -> None:
    block = KvBlock([LayerPlan(True, None)], 0)
    block.join([states(0, 5)], most=50, expected=6)
    memory = block.stored[0].keys.data_ptr()
    for number in range(1, 7):
        block.join([states(100 * number, 5 - number % 2)], most=50, expected=6 - number)
    assert block.stored[0].keys.data_ptr() == memory
    assert [block.row(row)[0].keys[0, 0, 0, 0].item() for row in range(7)] == [100.0 * number for number in range(7)]


def test_a_sliding_layer_shows_its_window() -> None:
    block = KvBlock([LayerPlan(True, 4), LayerPlan(False, None)], 10)
    block.begin(states(0, 10))
    block.make_room(1, most=20)
    new = torch.tensor(10.0).reshape(1, 1, 1, 1)
    assert block.stored[0].update(new, new)[0].flatten().tolist() == [7, 8, 9, 10]
    assert block.get_mask_sizes(1, 0) == (4, 7)


def test_prefixes_are_matched_replaced_and_forgotten_oldest_first() -> None:
    cache = PrefixCache(100)
    one, other = list(range(30)), [*range(20), *range(500, 540)]
    cache.keep(one, states(0, 30), copy=False)
    cache.keep(other, states(0, 60), copy=True)
    found = cache.find([*one, 7])
    assert found
    assert found[0].keys.shape[2] == 30
    # The longer one takes the place of the one it begins with.
    cache.keep([*one, 7, 8], states(0, 32), copy=False)
    assert cache.tokens == 92
    cache.keep(list(range(900, 920)), states(0, 20), copy=False)
    assert cache.tokens == 52
    assert cache.find(other[:SHORTEST]) == []  # all but the last token are fewer than pay
    assert (cache.hits, cache.lookups) == (1, 2)


def test_a_prefix_is_never_all_of_a_prompt() -> None:
    cache = PrefixCache(100)
    cache.keep(list(range(30)), states(0, 30), copy=False)
    found = cache.find(list(range(30)))
    assert found
    assert found[0].keys.shape[2] == 29
    assert cache.foresee(list(range(30))) == 29
    assert cache.find(list(range(30)), to_read=12)[0].keys.shape[2] == 18


def test_draws_follow_the_distribution_and_never_hit_the_impossible() -> None:
    logits = torch.log(torch.tensor([[1.0, 0.0, 2.0, 0.0, 0.0]]))
    one = sequence(1, 5, temperature=0.5, seed=3)  # the odds are 1 : 4
    drawn = [choose(logits.clone(), [one])[0] for _ in range(1000)]
    assert set(drawn) == {0, 2}
    assert 0.75 < drawn.count(2) / 1000 < 0.85


def test_each_row_is_chosen_by_its_own_wish() -> None:
    logits = torch.tensor([[0.0, 1.0, 5.0], [float("nan"), 1.0, 5.0], [4.0, 1.0, 5.0], [9.0, 1.0, 5.0]])
    rows = [sequence(1, 5), sequence(1, 5), sequence(1, 5, temperature=1.0, top_k=1), sequence(1, 5, temperature=0.1)]
    chosen = choose(logits, rows)
    assert chosen[0] == chosen[2] == 2
    assert isinstance(chosen[1], ArithmeticError)
    assert chosen[3] == 0


def test_scores_are_log_probabilities_and_nan_is_an_error() -> None:
    assert log_probs(torch.zeros(4), [1, 3]) == pytest.approx([-1.3863, -1.3863], abs=1e-4)
    with pytest.raises(ArithmeticError):
        log_probs(torch.full((4,), float("nan")), [0])
