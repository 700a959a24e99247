"""The live line: how many, how fast, how many in flight, how many errors."""

import asyncio
from collections.abc import Iterator
from contextlib import contextmanager

from tqdm import tqdm

from tools.load_test.loads import Load
from tools.load_test.recorder import Recorder

EVERY_S = 0.25


@contextmanager
def show_progress(recorder: Recorder, load: Load) -> Iterator[None]:
    """Keep the line up to date on a terminal; elsewhere show nothing. To be entered inside the event loop."""
    with tqdm(total=load.expected, desc=load.label, unit="req", leave=False, disable=None) as bar:

        def update() -> None:
            bar.set_postfix({"in flight": recorder.in_flight, "errors": recorder.errors}, refresh=False)
            bar.update(len(recorder.samples) - bar.n)

        async def keep_up() -> None:
            while True:
                update()
                await asyncio.sleep(EVERY_S)

        if bar.disable:
            yield
            return
        task = asyncio.get_running_loop().create_task(keep_up())
        try:
            yield
        finally:
            task.cancel()
            update()
