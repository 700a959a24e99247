"""Collects the samples of one run while it goes on."""

import asyncio
from collections.abc import Callable, Sequence
from itertools import pairwise

from tools.load_test.canaries import foreign_canaries
from tools.load_test.client import Client, Exchange
from tools.load_test.sample import Sample
from tools.load_test.target import Message

Listener = Callable[[Sample, str], None]
"""Gets each counted sample with the text of its answer, as soon as it is over."""


class Recorder:
    """Sends the requests of one run and keeps what comes back; `clock` is 0 when the measured part begins."""

    def __init__(self, client: Client, clock: Callable[[], float], listener: Listener) -> None:
        self.clock = clock
        self.samples: list[Sample] = []
        self.warmup = 0
        """Requests that were sent but not counted."""
        self.dropped = 0
        self.in_flight = 0
        self.max_in_flight = 0
        self.errors = 0
        self.unfinished = 0
        """Requests that were given up, without an answer."""
        self._client = client
        self._listener = listener

    async def send(
        self, user: int, question: str, session: str, history: Sequence[Message] = (), intended: float | None = None
    ) -> str:
        """Ask and record. `intended` None: now. A negative one belongs to the warm-up. Returns the answer's text."""
        intended = self.clock() if intended is None else intended
        self.in_flight += 1
        self.max_in_flight = max(self.max_in_flight, self.in_flight)
        try:
            exchange = await self._client.ask(question, session, history)
        except asyncio.CancelledError:
            self.unfinished += 1
            raise
        finally:
            self.in_flight -= 1
        if intended < 0:
            self.warmup += 1
        else:
            self._keep(_sample(user, session, intended, exchange), exchange.verdict.text)
        return exchange.verdict.text

    def drop(self, intended: float) -> None:
        """Note an arrival for which there was no room."""
        self.dropped += intended >= 0

    def _keep(self, sample: Sample, text: str) -> None:
        self.samples.append(sample)
        self.errors += not sample.ok
        self._listener(sample, text)


def _sample(user: int, session: str, intended: float, exchange: Exchange) -> Sample:
    verdict, pieces = exchange.verdict, exchange.pieces
    return Sample(
        user=user,
        intended=intended,
        started=exchange.started,
        ended=exchange.ended,
        fault=verdict.fault,
        retry_after=exchange.retry_after,
        first=pieces[0] if pieces else None,
        gaps=tuple(after - before for before, after in pairwise(pieces)),
        tokens=(verdict.tokens or len(pieces)) if pieces else None,
        stages=verdict.stages,
        leaked=foreign_canaries(exchange.raw, session),
        canary_seen=session in exchange.raw,
    )
