"""Carries out one run: from a load to what was recorded."""

import asyncio
import selectors
import signal
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, field

from service_kit.settings import Settings
from tools.load_test.client import Client
from tools.load_test.clock import Clock
from tools.load_test.drive import Driver
from tools.load_test.loads import Load
from tools.load_test.progress import show_progress
from tools.load_test.recorder import Listener, Recorder
from tools.load_test.sample import Sample
from tools.load_test.strain import Strain, StrainGauge
from tools.load_test.target import Target

SELECT_LIMIT = 512
"""Requests in flight that `select` may carry: it can not watch file descriptors above 1023."""


@dataclass(frozen=True)
class Run:
    """What one load brought."""

    load: Load
    samples: tuple[Sample, ...]
    """In the order in which they ended, warm-up left out."""
    elapsed_s: float
    """From the beginning of the measured part to the last answer."""
    warmup: int = 0
    """Requests sent before the measured part."""
    dropped: int = 0
    """Arrivals for which there was no room."""
    max_in_flight: int = 0
    unfinished: int = 0
    """Requests without an answer when Ctrl-C came."""
    interrupted: bool = False
    strain: Strain = field(default_factory=Strain)


def run_load(
    load: Load,
    target: Target,
    questions: Sequence[str],
    settings: Settings,
    *,
    timeout_s: float,
    listener: Listener = lambda sample, text: None,
    on_round: Callable[[int], None] = lambda n: None,
) -> Run:
    """One run in an event loop of its own. Ctrl-C ends it early: what is there so far is returned."""

    async def body() -> Run:
        clock = Clock()
        async with Client(target, settings, clock, timeout_s) as client:
            recorder = Recorder(client, clock, listener)
            gauge = StrainGauge()
            driving = asyncio.create_task(Driver(recorder, clock, questions, on_round).drive(load))
            asyncio.get_running_loop().add_signal_handler(signal.SIGINT, driving.cancel)
            with gauge.watching(), show_progress(recorder, load):
                with suppress(asyncio.CancelledError):
                    await driving
                strain, elapsed = gauge.read(), clock()
            return Run(
                load,
                tuple(recorder.samples),
                elapsed,
                recorder.warmup,
                recorder.dropped,
                recorder.max_in_flight,
                recorder.unfinished,
                driving.cancelled(),
                strain,
            )

    with asyncio.Runner(loop_factory=lambda: _loop_for(load)) as runner:
        return runner.run(body())


def _loop_for(load: Load) -> asyncio.AbstractEventLoop:
    most = load.max_in_flight
    # epoll waits in whole milliseconds, so that starts would be half of one late on average; select in microseconds.
    return asyncio.SelectorEventLoop(selectors.SelectSelector() if most <= SELECT_LIMIT else None)
