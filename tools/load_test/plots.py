"""The plots of the report as SVG. Their words are units and names of loads only: the page holds the sentences."""

import io
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path

from matplotlib import style
from matplotlib.axes import Axes
from matplotlib.axis import Axis
from matplotlib.figure import Figure
from matplotlib.ticker import FuncFormatter, LogLocator, NullFormatter, PercentFormatter

from service_kit.words import Words
from tools.load_test.figures import OTHER, Figures
from tools.load_test.run import Run

OTHER_COLOUR = "#cbd5e1"
MANY = 3000
WIDTH_IN, HEIGHT_IN = 7.2, 3.4
STYLE = Path(__file__).with_name("plots.mplstyle")

Runs = Sequence[tuple[Run, Figures]]


@dataclass(frozen=True)
class Plot:
    """One picture and what it shows."""

    title: Words
    svg: str


def plots(runs: Runs) -> list[Plot]:
    """All plots for which there is something to show."""
    answered = [(run, found) for run, found in runs if found.latency]
    made = []
    with style.context(STYLE):
        if answered:
            made.append(_plot(Words("耗时随时间", "Latency over time"), _over_time, answered))
            made.append(_plot(Words("耗时的累积分布", "Distribution of the latency"), _distribution, answered))
        if staged := [(run, found) for run, found in answered if found.stages]:
            made.append(_plot(Words("各阶段平均耗时", "Mean time of each stage"), _stages, staged))
        if len(levels := [(run, found) for run, found in answered if run.load.concurrency]) > 1:
            made.append(_plot(Words("吞吐与并发", "Throughput against concurrency"), _throughput, levels))
    return made


def _plot(title: Words, draw: Callable[[Axes, Runs], None], runs: Runs) -> Plot:
    figure = Figure(figsize=(WIDTH_IN, HEIGHT_IN), layout="constrained")
    draw(figure.subplots(), runs)
    out = io.StringIO()
    # No date: the same result gives the same page.
    figure.savefig(out, format="svg", metadata={"Date": None})
    svg = out.getvalue()
    return Plot(title, svg[svg.index("<svg") :])


def _over_time(axes: Axes, runs: Runs) -> None:
    # Thousands of vector points make a page that no browser likes: the cloud becomes a picture.
    many = sum(found.succeeded for _, found in runs) > MANY
    for run, _ in runs:
        answers = [sample for sample in run.samples if sample.ok]
        times, latencies = [sample.intended for sample in answers], [sample.latency for sample in answers]
        label, size = run.load.label, 2 if many else 5
        axes.plot(times, latencies, ".", markersize=size, alpha=0.7, label=label, rasterized=many)
    _label(axes, "s", "s", runs)
    if len(runs) > 1:
        # The times of one user and of thirty side by side.
        axes.set_yscale("log")
        _plain_numbers(axes.yaxis)
    else:
        axes.set_ylim(bottom=0)


def _distribution(axes: Axes, runs: Runs) -> None:
    for run, _ in runs:
        axes.ecdf([sample.latency for sample in run.samples if sample.ok], label=run.load.label)
    axes.set_xscale("log")
    _plain_numbers(axes.xaxis)
    axes.yaxis.set_major_formatter(PercentFormatter(1))
    for percent in (0.5, 0.9, 0.99):
        axes.axhline(percent, color="#9ca3af", linewidth=0.6, linestyle=":")
    _label(axes, "s", "", runs)


def _stages(axes: Axes, runs: Runs) -> None:
    names = list(dict.fromkeys(name for _, found in runs for name in found.stages))
    rows = [run.load.label for run, _ in runs]
    left = [0.0] * len(runs)
    for n, name in enumerate(names):
        widths = [found.stages[name].mean_s * 1000 if name in found.stages else 0.0 for _, found in runs]
        axes.barh(rows, widths, left=left, height=0.6, label=name, color=OTHER_COLOUR if name == OTHER else f"C{n}")
        left = [start + width for start, width in zip(left, widths, strict=True)]
    axes.invert_yaxis()
    axes.grid(visible=False, axis="y")
    axes.set_xlabel("ms")
    axes.legend(loc="lower center", bbox_to_anchor=(0.5, 1), ncols=len(names))


def _throughput(axes: Axes, runs: Runs) -> None:
    axes.margins(y=0.1)
    users = [run.load.concurrency or 0 for run, _ in runs]
    axes.plot(users, [found.rate for _, found in runs], "o-", color="C0", label="1/s")
    axes.set_ylim(bottom=0)
    axes.set_xticks(users)
    axes.set_xlabel("n")
    axes.set_ylabel("1/s", color="C0")
    latency = axes.twinx()
    latency.margins(y=0.1)
    latency.plot(users, [found.latency.p95 for _, found in runs if found.latency], "s--", color="C1")
    latency.set_ylim(bottom=0)
    latency.set_ylabel("p95, s", color="C1")
    latency.spines["right"].set_visible(True)
    latency.grid(visible=False)


def _plain_numbers(axis: Axis) -> None:
    """1, 2 and 5 of each power of ten on a logarithmic axis, not as powers."""
    axis.set_major_locator(LogLocator(subs=(1, 2, 5)))
    axis.set_major_formatter(FuncFormatter(lambda value, _: f"{value:g}"))
    axis.set_minor_formatter(NullFormatter())


def _label(axes: Axes, x: str, y: str, runs: Runs) -> None:
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    if len(runs) > 1:
        axes.legend(loc="upper left", bbox_to_anchor=(1, 1), markerscale=2)
