"""Who waits, who reads the prompt, who runs, and which rows share a forward pass. Knows no tensors.

Memory is promised before it is used: a request is admitted only if its longest possible end fits into the budget
beside all others', so nothing that runs is ever thrown out for want of memory.
"""

from collections import deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

from llm_server.batch.sequence import Sequence

WORTH_PADDING = 32
"""Prompts that differ by no more tokens share a pass: one more pass costs about as much on a CPU, more on a GPU."""


@dataclass(eq=False)
class Group:
    """Rows of one forward pass; each is padded to the longest."""

    members: list[Sequence] = field(default_factory=list)
    """In the order of the block's rows."""
    block: Any = None

    @property
    def span(self) -> int:
        """Tokens of the longest row now."""
        return max(member.computed for member in self.members)

    @property
    def promised(self) -> int:
        """Tokens of KV memory that its rows may come to need, padding included."""
        return len(self.members) * self.final_length

    @property
    def final_length(self) -> int:
        return max((member.final_length for member in self.members), default=0)

    @property
    def alone(self) -> bool:
        return any(member.alone for member in self.members)


class Scheduler:
    """The state of all requests in the engine.

    Args:
        kv_tokens: the budget.
        max_rows: sequences that prefill or run at once.
        pass_tokens: what a forward pass costs beside its rows, as the number of tokens whose keys and values are as
            large as the weights. Padding rows to a common length is worth while below it.
    """

    def __init__(self, kv_tokens: int, max_rows: int, pass_tokens: int) -> None:
        self.kv_tokens = kv_tokens
        self.waiting: deque[Sequence] = deque()
        self.prefilling: list[Sequence] = []
        self.groups: list[Group] = []
        self._max_rows = max_rows
        self._pass_tokens = pass_tokens
        self._turn = 0
        self._no_memory = False

    @property
    def running(self) -> Iterator[Sequence]:
        return (member for group in self.groups for member in group.members)

    @property
    def rows(self) -> int:
        """Sequences that have a place: all but the waiting."""
        return len(self.prefilling) + sum(len(group.members) for group in self.groups)

    @property
    def promised(self) -> int:
        """Tokens of KV memory that are spoken for."""
        return sum(group.promised for group in self.groups) + sum(one.final_length for one in self.prefilling)

    @property
    def free_rows(self) -> int:
        """How many of those that wait will not wait for long."""
        return 0 if self._no_memory else self._max_rows - self.rows

    @property
    def idle(self) -> bool:
        return not (self.waiting or self.prefilling or self.groups)

    def admit(self) -> None:
        """Move waiting ones, in the order in which they came, to where prompts are read, as long as they fit."""
        self._no_memory = False
        while self.waiting and self.rows < self._max_rows:
            # One that alone is over the budget can not have been let in.
            self._no_memory = self.promised + self.waiting[0].final_length > self.kv_tokens
            if self._no_memory:
                return
            self.prefilling.append(self.waiting.popleft())

    def next_to_prefill(self, at_most: int | None = None) -> Sequence | None:
        """Whose prompt to read on: the oldest and the one nearest its end in turn.

        So a short prompt need not wait for a long one, nor a long one for an endless row of short ones.

        Args:
            at_most: only one whose prompt has no more tokens left than this.
        """
        able = [one for one in self.prefilling if at_most is None or one.prompt_left <= at_most]
        if not able:
            return None
        self._turn += 1
        return able[0] if self._turn % 2 else min(able, key=lambda one: one.prompt_left)

    def companions(self, first: Sequence, at_most: int) -> list[Sequence]:
        """Who may be read to the end in one pass with `first`: nobody begun yet, about as much to read, oldest first.

        Args:
            at_most: tokens of the whole pass, padding included; nor may the padding of the memory be more.
        """
        most, longest, tokens = first.prompt_left, len(first.prompt_ids), len(first.prompt_ids)
        if first.block or first.alone:
            return []
        found: list[Sequence] = []
        for one in self.prefilling:
            if one is first or one.block or one.alone or abs(one.prompt_left - first.prompt_left) > WORTH_PADDING:
                continue
            rows, length = len(found) + 2, len(one.prompt_ids)
            wider, longer = max(most, one.prompt_left), max(longest, length)
            padding = rows * longer - tokens - length
            if rows * wider <= at_most and padding <= min(at_most, self.kv_tokens - self.promised):
                found.append(one)
                most, longest, tokens = wider, longer, tokens + length
        return found

    def run(self, sequence: Sequence) -> Group:
        """Its prompt is read: it joins the group where a step then costs least, if need be a new one."""
        self.prefilling.remove(sequence)
        open_groups = [group for group in self.groups if not group.alone and self._fits(group, sequence)]
        best = min(open_groups, key=lambda group: self._added(group, sequence), default=None)
        if sequence.alone or best is None or self._added(best, sequence) > self._pass_tokens + sequence.computed:
            best = Group()
            self.groups.append(best)
        best.members.append(sequence)
        return best

    def expected(self, group: Group) -> int:
        """How many more rows are likely to join soon: their prompts are being read, and they are about as long."""
        if group.alone:
            return 0
        lengths = [one.final_length for one in self.prefilling if one.answer and not one.alone]
        return sum(2 * min(length, group.final_length) >= max(length, group.final_length) for length in lengths)

    def leave(self, sequence: Sequence) -> None:
        """It has ended while it prefilled or ran."""
        if sequence in self.prefilling:
            self.prefilling.remove(sequence)
        for group in self.groups:
            if sequence in group.members:
                # As the block does it: the last row fills the gap.
                row, last = group.members.index(sequence), group.members.pop()
                if last is not sequence:
                    group.members[row] = last
        self.groups = [group for group in self.groups if group.members]

    def isolate(self, group: Group) -> list[Group]:
        """Each row of `group` becomes a group of its own, for good."""
        self.groups.remove(group)
        split = [Group([member]) for member in group.members]
        for member in group.members:
            member.alone = True
        self.groups += split
        return split

    def to_merge(self) -> tuple[Group, Group] | None:
        """Two groups (the rows of the first go into the second) whose steps would cost clearly less as one."""
        open_groups = sorted((group for group in self.groups if not group.alone), key=lambda group: len(group.members))
        for small, large in pairwise(open_groups):
            rows, others = len(small.members), len(large.members)
            span = max(small.span, large.span)
            padding = (rows + others) * span - rows * small.span - others * large.span
            promised = (rows + others) * max(small.final_length, large.final_length)
            more = promised - small.promised - large.promised
            # Clearly: half, so that no two groups merge over a trifle, which costs a copy.
            if padding < self._pass_tokens // 2 and self.promised + more <= self.kv_tokens:
                return small, large
        return None

    def merge(self, small: Group, large: Group) -> None:
        self.groups.remove(small)
        large.members += small.members

    def clear(self) -> list[Sequence]:
        """Forget all; returns them."""
        everyone = [*self.waiting, *self.prefilling, *self.running]
        self.waiting.clear()
        self.prefilling, self.groups = [], []
        return everyone

    def _fits(self, group: Group, sequence: Sequence) -> bool:
        promised = (len(group.members) + 1) * max(group.final_length, sequence.final_length)
        return self.promised - group.promised + promised <= self.kv_tokens

    def _added(self, group: Group, sequence: Sequence) -> int:
        """By how many tokens a step of `group` grows, padding included."""
        rows, span = len(group.members), group.span
        return (rows + 1) * max(span, sequence.computed) - rows * span
