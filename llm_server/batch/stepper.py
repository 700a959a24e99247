"""One iteration of the engine: at most one chunk of prompts is read, then every running request gets one token."""

import logging
from collections import defaultdict
from collections.abc import Callable

import torch

from llm_server.batch.kv_cache import KvBlock, RowStates
from llm_server.batch.model_runner import ModelRunner
from llm_server.batch.prefix_cache import PrefixCache
from llm_server.batch.sampler import choose, log_probs
from llm_server.batch.scheduler import Group, Scheduler
from llm_server.batch.sequence import Sequence
from llm_server.faults import generation_failed
from service_kit.errors import YijuError
from service_kit.logs import request_id

logger = logging.getLogger(__name__)


class Stepper:
    """Moves sequences through `scheduler`. What goes wrong with one of them ends that one alone.

    Args:
        chunk: tokens of prompts that are read between two tokens of the running requests.
        on_end: called for each sequence that has ended, well or not.
    """

    def __init__(
        self,
        runner: ModelRunner,
        scheduler: Scheduler,
        prefixes: PrefixCache,
        chunk: int,
        on_end: Callable[[Sequence], object],
    ) -> None:
        self._runner = runner
        self._scheduler = scheduler
        self._prefixes = prefixes
        self._chunk = chunk
        self._on_end = on_end
        self._made = 0

    @torch.inference_mode()
    def step(self) -> int:
        """Returns how many tokens were made. Raises only what is a defect of the engine itself."""
        self._made = 0
        self._drop_the_unwanted()
        self._prefill()
        while pair := self._scheduler.to_merge():
            self._merge(*pair)
        for group in list(self._scheduler.groups):
            self._decode(group)
        return self._made

    def _drop_the_unwanted(self) -> None:
        scheduler = self._scheduler
        for sequence in [*scheduler.prefilling, *scheduler.running]:
            if error := sequence.generation.why_stop():
                self._fail(sequence, error)

    # Prompts.

    def _prefill(self) -> None:
        """One chunk of one prompt, and whole prompts as long as they fit into the chunk with it."""
        for sequence in self._scheduler.prefilling:
            if sequence.foreseen is None:
                sequence.foreseen = self._prefixes.foresee(sequence.prompt_ids)
        budget = self._chunk
        first = self._scheduler.next_to_prefill()
        while first:
            if first.prompt_left <= budget and (others := self._companions(first, budget)):
                budget -= self._read_together([first, *others])
            else:
                budget -= self._read_chunk(first, budget)
            first = self._scheduler.next_to_prefill(at_most=budget)

    def _companions(self, first: Sequence, budget: int) -> list[Sequence]:
        others = self._scheduler.companions(first, budget)
        # What was foreseen may have been forgotten since, or more may be known.
        for sequence in (first, *others) if others else ():
            sequence.foreseen = self._prefixes.foresee(sequence.prompt_ids)
        most = max(sequence.prompt_left for sequence in (first, *others))
        return others if (len(others) + 1) * most <= budget else []

    def _read_together(self, pack: list[Sequence]) -> int:
        """Whole prompts in one pass. Returns how many tokens were read, padding included."""
        most = max(sequence.prompt_left for sequence in pack)
        longest = max(len(sequence.prompt_ids) for sequence in pack)
        try:
            block = self._runner.new_block(longest)
            # In place of padding, a bit of what is known is read again: there is never a gap behind it.
            block.begin(*(self._prefixes.find(sequence.prompt_ids, to_read=most) for sequence in pack))
            unread = [one.prompt_ids[known:] for one, known in zip(pack, block.extent.lengths, strict=True)]
            logits = self._runner.forward(unread, block, longest)
        except Exception:
            logger.exception("%d prompts can not be read together; each goes on by itself", len(pack))
            for sequence in pack:
                sequence.alone = True
            return sum(self._read_chunk(sequence, most) for sequence in pack)
        self._prompts_read(pack, block, logits)
        return most * len(pack)

    def _read_chunk(self, sequence: Sequence, at_most: int) -> int:
        """Returns how many tokens were read."""
        tokens = 0
        try:
            if sequence.block is None:
                block = self._runner.new_block(len(sequence.prompt_ids))
                block.begin(self._prefixes.find(sequence.prompt_ids))
                sequence.block, sequence.computed = block, block.extent.span
            tokens = min(at_most, sequence.prompt_left)
            part = sequence.prompt_ids[sequence.computed : sequence.computed + tokens]
            logits = self._runner.forward([part], sequence.block, len(sequence.prompt_ids))
            sequence.computed += tokens
        except Exception as error:  # noqa: BLE001  # whatever a model raises belongs to this request alone
            self._broke(sequence, error)
        else:
            if not sequence.prompt_left:
                self._prompts_read([sequence], sequence.block, logits)
        return tokens

    def _prompts_read(self, pack: list[Sequence], block: KvBlock, logits: torch.Tensor) -> None:
        """Take the first tokens or the scores, a row for each of `pack`; answers that go on join groups."""
        joining: defaultdict[Group, dict[Sequence, RowStates]] = defaultdict(dict)
        for row, (sequence, chosen) in enumerate(zip(pack, self._first_tokens(logits, pack), strict=True)):
            sequence.computed = len(sequence.prompt_ids)
            if not isinstance(chosen, Exception):
                self._prefixes.keep(sequence.prompt_ids, block.row(row), copy=len(pack) > 1)
            if sequence.answer is None and not isinstance(chosen, Exception):
                self._finish(sequence)
            elif self._take(sequence, chosen):
                joining[self._scheduler.run(sequence)][sequence] = block.row(row)
        for group, rows in joining.items():
            self._join(group, rows, self._scheduler.expected(group))

    def _first_tokens(self, logits: torch.Tensor, pack: list[Sequence]) -> list[int | Exception]:
        """As `_choose`; for one that is only scored it takes the scores."""
        chosen = self._choose(logits, pack)
        for row, sequence in enumerate(pack):
            if sequence.answer is None:
                try:
                    sequence.log_probs = log_probs(logits[row], sequence.next_ids)
                except ArithmeticError as error:
                    chosen[row] = error
        return chosen

    def _join(self, group: Group, rows: dict[Sequence, RowStates], expected: int = 0) -> None:
        """`rows`, the last of the group's members, get their places in its block, which `expected` more may follow."""
        group.block = group.block or self._runner.new_block(0)
        try:
            group.block.join(list(rows.values()), group.final_length, expected)
        except Exception as error:  # noqa: BLE001  # no memory
            if len(rows) == 1 and not expected:
                return self._broke(next(iter(rows)), error)
            if not group.block.extent.rows:
                group.block = None  # what it was going to be does not fit
            for _ in rows:
                # In the members' order, which changes when one of them breaks: the last one fills the gap.
                sequence = group.members[group.block.extent.rows if group.block else 0]
                self._join(group, {sequence: rows[sequence]})
        for sequence in rows:
            sequence.block = None
        return None

    # Answers.

    def _decode(self, group: Group) -> None:
        try:
            logits = self._runner.forward([[one.ids[-1]] for one in group.members], group.block, group.final_length)
        except Exception as error:
            if len(group.members) == 1:
                return self._broke(group.members[0], error)
            logger.exception("a step of %d rows failed; each goes on by itself", len(group.members))
            return self._isolate(group)
        for sequence in group.members:
            sequence.computed += 1
        chosen = self._choose(logits, group.members)
        # From the last row on: whoever leaves is replaced by the last.
        for sequence, token in reversed(list(zip(group.members, chosen, strict=True))):
            self._take(sequence, token)
        return None

    def _choose(self, logits: torch.Tensor, sequences: list[Sequence]) -> list[int | Exception]:
        """As `choose`; an exception belongs to the row that raises it."""
        try:
            return list(choose(logits, sequences))
        except Exception as error:  # noqa: BLE001
            if len(sequences) == 1:
                return [error]
            rows = (self._choose(logits[row : row + 1], [sequence]) for row, sequence in enumerate(sequences))
            return [token for row in rows for token in row]

    def _isolate(self, group: Group) -> None:
        """Find out whose fault it was: each row makes this step, and all later ones, alone."""
        for row, single in enumerate(self._scheduler.isolate(group)):
            single.block = self._runner.new_block(0)
            try:
                single.block.join([group.block.row(row)], single.final_length)
            except Exception as error:  # noqa: BLE001  # no memory
                self._broke(single.members[0], error)
            else:
                self._decode(single)

    def _merge(self, small: Group, large: Group) -> None:
        final_length = max(small.final_length, large.final_length)
        try:
            large.block.join([small.block.row(row) for row in range(len(small.members))], final_length)
        except Exception:  # no memory; they can do without
            logger.exception("two groups can not be merged")
            for member in small.members:
                member.alone = True
        else:
            self._scheduler.merge(small, large)

    def _take(self, sequence: Sequence, token: int | Exception) -> bool:
        """Give the next token to the reader. Returns whether the answer goes on."""
        if isinstance(token, Exception):
            self._broke(sequence, token)
            return False
        assert sequence.answer
        self._made += 1
        try:
            sequence.ids.append(token)
            sequence.answer.take(token)
            if sequence.answer.ended:
                self._keep_for_the_next_turn(sequence)
                self._finish(sequence)
        except Exception as error:  # noqa: BLE001  # a tokenizer that can not decode this
            self._broke(sequence, error)
            return False
        return not sequence.answer.ended

    def _keep_for_the_next_turn(self, sequence: Sequence) -> None:
        for group in self._scheduler.groups:
            if sequence in group.members:
                row = group.block.row(group.members.index(sequence))
                self._prefixes.keep(sequence.ids[: sequence.computed], row, copy=True)

    # Ends.

    def _finish(self, sequence: Sequence) -> None:
        self._leave(sequence)
        if sequence.answer:
            sequence.answer.close()
        else:
            sequence.generation.finish("stop", sequence.generation.usage)

    def _broke(self, sequence: Sequence, error: Exception) -> None:
        request_id.set(sequence.request_id)
        logger.error("generation failed", exc_info=error)
        self._fail(sequence, generation_failed(error))

    def _fail(self, sequence: Sequence, error: YijuError) -> None:
        self._leave(sequence)
        sequence.generation.fail(error)

    def _leave(self, sequence: Sequence) -> None:
        """Its memory is free from here on, before its reader learns that it has ended."""
        for group in self._scheduler.groups:
            # The last one may have failed to join: then there is no row.
            if sequence in group.members and (row := group.members.index(sequence)) < group.block.extent.rows:
                group.block.leave(row)
        self._scheduler.leave(sequence)
        sequence.block = None
        self._on_end(sequence)
