"""What every tool does with the console: its language by `YIJU_LANG`, errors as a line, exit codes."""

import sys
from collections.abc import Callable
from typing import NoReturn

from service_kit.errors import YijuError
from service_kit.settings import Settings

Say = Callable[[str, str], None]


def speaker(settings: Settings) -> Say:
    """A function that prints one of its two texts, the Chinese or the English one, at once."""

    def say(zh: str, en: str) -> None:
        print(zh if settings.lang == "zh" else en, flush=True)

    return say


def run_tool(main: Callable[[], int]) -> NoReturn:
    """Run a tool's `main` and exit: with its code, 1 and a message on a YijuError or OSError, 130 on Ctrl-C."""
    try:
        sys.exit(main())
    except YijuError as error:
        print(f"{error.words.zh}\n{error.words.en}", file=sys.stderr)
        sys.exit(1)
    except OSError as error:  # a file that is not there, a full disk
        print(error, file=sys.stderr)
        sys.exit(1)
    except KeyboardInterrupt:
        sys.exit(130)
