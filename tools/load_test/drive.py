"""Decides when which question is asked: one function per load."""

import asyncio
import itertools
import uuid
from collections.abc import Callable, Sequence

from tools.load_test.canaries import marked, new_canary
from tools.load_test.clock import Clock
from tools.load_test.loads import Conversations, Load, Open, Rounds, Steady
from tools.load_test.questions import FOLLOW_UPS
from tools.load_test.recorder import Recorder
from tools.load_test.target import Message


class Driver:
    """Puts one load on the service of `recorder`; the questions are taken in turn, again and again."""

    def __init__(
        self, recorder: Recorder, clock: Clock, questions: Sequence[str], on_round: Callable[[int], None]
    ) -> None:
        self._recorder = recorder
        self._clock = clock
        self._questions = itertools.cycle(questions)
        self._on_round = on_round

    async def drive(self, load: Load) -> None:
        """Returns when the last answer has come."""
        match load:
            case Rounds():
                await self._rounds(load)
            case Steady():
                await self._steady(load.threads, load.warmup_s, load.duration_s)
            case Open():
                await self._open(load)
            case Conversations():
                self._clock.begin_in(0)
                await asyncio.gather(*(self._converse(n, load.turns) for n in range(load.sessions)))

    async def _rounds(self, load: Rounds) -> None:
        if load.warmup_s:
            await self._steady(load.threads, load.warmup_s, 0)
        self._clock.begin_in(0)
        for n in range(load.rounds):
            self._on_round(n)
            await asyncio.gather(*(self._one(user) for user in range(load.threads)))

    async def _steady(self, threads: int, warmup_s: float, duration_s: float) -> None:
        async def user(n: int) -> None:
            while self._clock() < duration_s:
                await self._one(n)

        self._clock.begin_in(warmup_s)
        await asyncio.gather(*(user(n) for n in range(threads)))

    async def _open(self, load: Open) -> None:
        self._clock.begin_in(load.warmup_s)
        async with asyncio.TaskGroup() as requests:
            for n, time in enumerate(load.times):
                intended = time - load.warmup_s
                await asyncio.sleep(intended - self._clock())
                if self._recorder.in_flight >= load.max_in_flight:
                    self._recorder.drop(intended)
                else:
                    requests.create_task(self._one(n, intended))

    async def _one(self, user: int, intended: float | None = None) -> None:
        await self._recorder.send(user, next(self._questions), uuid.uuid4().hex, intended=intended)

    async def _converse(self, user: int, turns: int) -> None:
        canary = new_canary()
        history: list[Message] = []
        question = marked(next(self._questions), canary)
        for turn in range(turns):
            text = await self._recorder.send(user, question, canary, history)
            history += [{"role": "user", "content": question}, {"role": "assistant", "content": text}]
            question = FOLLOW_UPS[turn % len(FOLLOW_UPS)]
