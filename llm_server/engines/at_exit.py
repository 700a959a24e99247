"""The end of the process while an engine's thread is busy in something that can not be interrupted."""

import logging
import os
import sys
from threading import Thread


def leave_without(thread: Thread) -> None:
    """End the process at once if `thread` still runs.

    A thread that the interpreter cuts off in the middle of an import (torch takes seconds) keeps the import lock, for
    which the interpreter's own end would then wait for ever.
    """
    if thread.is_alive():
        logging.shutdown()
        sys.stdout.flush()
        sys.stderr.flush()
        os._exit(0)
