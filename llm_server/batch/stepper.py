"""One iteration of the engine: at most one chunk of prompts is read, then every running request gets one token."""

import logging
from collections.abc import Callable

import torch

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
        budget = self._chunk
        sequence = self._scheduler.next_to_prefill()
        while sequence:
            budget -= self._read_chunk(sequence, budget)
            sequence = self._scheduler.next_to_prefill(at_most=budget)

    def _read_chunk(self, sequence: Sequence, at_most: int) -> int:
        """Returns how many tokens were read."""
        tokens = 0
        try:
            if sequence.block is None:
                self._begin_prompt(sequence)
            tokens = min(at_most, sequence.prompt_left)
            part = sequence.prompt_ids[sequence.computed : sequence.computed + tokens]
            logits = self._runner.forward([part], sequence.block, len(sequence.prompt_ids))
            sequence.computed += tokens
            if not sequence.prompt_left:
                self._prompt_read(sequence, logits)
        except Exception as error:  # noqa: BLE001  # whatever a model raises belongs to this request alone
            self._broke(sequence, error)
        return tokens

    def _begin_prompt(self, sequence: Sequence) -> None:
        sequence.block = self._runner.new_block(len(sequence.prompt_ids))
        if known := self._prefixes.find(sequence.prompt_ids):
            sequence.block.load(known)
            sequence.computed = sequence.block.extent.span
        else:
            sequence.block.begin_row()

    def _prompt_read(self, sequence: Sequence, logits: torch.Tensor) -> None:
        """Take the first token or the scores; an answer that goes on joins a group."""
        if sequence.answer is None:
            sequence.log_probs = log_probs(logits[0], sequence.next_ids)
            self._prefixes.keep(sequence.prompt_ids, sequence.block.row(0), copy=False)
            return self._finish(sequence)
        (chosen,) = self._choose(logits, [sequence])
        if isinstance(chosen, int):
            self._prefixes.keep(sequence.prompt_ids, sequence.block.row(0), copy=False)
        if self._take(sequence, chosen):
            group = self._scheduler.run(sequence)
            group.block = group.block or self._runner.new_block(0)
            group.block.join(sequence.block.row(0), group.final_length)
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
                single.block.join(group.block.row(row), single.final_length)
            except Exception as error:  # noqa: BLE001  # no memory
                self._broke(single.members[0], error)
            else:
                self._decode(single)

    def _merge(self, small: Group, large: Group) -> None:
        rows, final_length = large.block.extent.rows, max(small.final_length, large.final_length)
        try:
            for row in range(len(small.members)):
                large.block.join(small.block.row(row), final_length)
        except Exception:  # no memory; they can do without
            logger.exception("two groups can not be merged")
            for row in range(large.block.extent.rows - 1, rows - 1, -1):
                large.block.leave(row)
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
