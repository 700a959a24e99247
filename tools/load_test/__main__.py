"""`python -m tools.load_test`."""

import sys

from service_kit.errors import YijuError
from tools.console import run_tool

PACKAGES = ("aiohttp", "hdrh", "matplotlib", "numpy")


class PackagesMissing(YijuError):
    """The `load` set is not installed: services do not need what the load test does."""


def run() -> int:
    """The exit code. Raises PackagesMissing."""
    try:
        from tools.load_test.command import main  # noqa: PLC0415  # its packages may be missing
    except ModuleNotFoundError as error:
        if error.name not in PACKAGES:
            raise
        raise PackagesMissing(
            f"压力测试还缺 {error.name}：请运行 python3 tools/bootstrap.py load",
            f"The load test needs {error.name}: run python3 tools/bootstrap.py load",
        ) from None
    return main(sys.argv[1:])


if __name__ == "__main__":
    run_tool(run)
