"""Growth as a picture."""

from collections.abc import Sequence
from pathlib import Path

from tools.search_bench.growth import Timed


def plot(sizes: Sequence[Timed], path: Path) -> None:
    """Time of a search, memory and disk over the number of passages; needs matplotlib (the `dev` extra)."""
    import matplotlib as mpl  # noqa: PLC0415  # only where a picture is wanted

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    picture, (times, space) = plt.subplots(1, 2, figsize=(10, 4))
    counts = [one.passages for one in sizes]
    for name in ("p50", "p99"):
        times.plot(counts, [getattr(one, name) for one in sizes], marker="o", label=name)
    for name in ("memory", "disk"):
        space.plot(counts, [getattr(one, name) for one in sizes], marker="o", label=name)
    times.set(xlabel="passages", ylabel="ms a search (top 2, one thread)", xscale="log")
    space.set(xlabel="passages", ylabel="MB", xscale="log", yscale="log")
    for axis in (times, space):
        axis.set_ylim(bottom=0 if axis is times else None)
        axis.legend()
    picture.tight_layout()
    picture.savefig(path, dpi=110)
    plt.close(picture)
