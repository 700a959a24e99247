"""`compare A.json B.json`: is B slower or faster than A, or can not even that be said?"""

import argparse
import json
from collections.abc import Iterator, Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import numpy as np

from service_kit.errors import InvalidRequest
from service_kit.words import Lang, Words
from tools.load_test.bootstrap import Ratio, Statistic, ratio_of
from tools.load_test.files import Stored, read_stored
from tools.load_test.table import aligned

BEYOND = 5
"""Answers that must lie beyond a percentile for it to be compared; with fewer it is the whim of one request."""


def compare_command(argv: Sequence[str], lang: Lang) -> int:
    """Print the table, write it where `--json` says. Returns the exit code.

    Raises:
        InvalidRequest: a file is no result, or the two have no load in common.
    """
    parser = argparse.ArgumentParser(prog="python -m tools.load_test compare", description=__doc__)
    parser.add_argument("first", type=Path, metavar="A.json")
    parser.add_argument("second", type=Path, metavar="B.json")
    parser.add_argument("--json", type=Path, metavar="FILE")
    args = parser.parse_args(argv)
    found = {label: dict(compared(a, b)) for label, a, b in pairs(read_stored(args.first), read_stored(args.second))}
    for label, ratios in found.items():
        print(f"\n== {label}")
        print("\n".join(_table(ratios, lang)))
    if args.json:
        document = {
            label: {
                name: asdict(ratio) | {"ratio": ratio.ratio, "differs": ratio.differs} for name, ratio in ratios.items()
            }
            for label, ratios in found.items()
        }
        args.json.write_text(json.dumps(document, indent=1), "utf-8")
    return 0


def pairs(first: Sequence[Stored], second: Sequence[Stored]) -> list[tuple[str, Stored, Stored]]:
    """The runs of the same load; two files of one run each are compared whatever their loads.

    Raises:
        InvalidRequest: there are none.
    """
    if len(first) == len(second) == 1:
        (a,), (b,) = first, second
        return [(a.label if a.label == b.label else f"{a.label} | {b.label}", a, b)]
    others = {run.label: run for run in second}
    same = [(run.label, run, others[run.label]) for run in first if run.label in others]
    if not same:
        raise InvalidRequest("两份结果没有相同的负载", "The two results have no load in common")
    return same


def compared(first: Stored, second: Stored) -> Iterator[tuple[str, Ratio]]:
    """Each figure that both runs have enough answers for."""
    few = min(len(first.latencies), len(second.latencies))
    if few:
        yield "mean", ratio_of(first.latencies, second.latencies, _mean)
    for percent in (50, 90, 99):
        if few * (100 - percent) >= 100 * BEYOND:
            yield f"p{percent}", ratio_of(first.latencies, second.latencies, _percentile(percent))
    if min(len(first.ttfts), len(second.ttfts)) >= 2 * BEYOND:
        yield "ttft p50", ratio_of(first.ttfts, second.ttfts, _percentile(50))
    if min(len(first.ended), len(second.ended)) > 2 * BEYOND:
        # A rate is one over the mean distance of two answers; the first one's is from the beginning of the run.
        yield "rate", ratio_of(_distances(first.ended), _distances(second.ended), _rate)


def _distances(moments: Sequence[float]) -> list[float]:
    return [float(distance) for distance in np.diff(moments, prepend=0.0)]


def _mean(values: np.typing.NDArray[np.float64]) -> float:
    return float(values.mean())


def _rate(distances: np.typing.NDArray[np.float64]) -> float:
    return float(1 / distances.mean())


def _percentile(percent: int) -> Statistic:
    quantile = partial(np.quantile, q=percent / 100, method="inverted_cdf")
    return lambda values: float(quantile(values))


def _table(ratios: dict[str, Ratio], lang: Lang) -> list[str]:
    head = ("", "A", "B", "B/A", Words("95% 区间", "95 % interval").to(lang), Words("结论", "verdict").to(lang))
    rows = [
        (
            name,
            f"{ratio.first:.3f}",
            f"{ratio.second:.3f}",
            f"{ratio.ratio:.3f}",
            f"{ratio.low:.3f} … {ratio.high:.3f}",
            _verdict(ratio).to(lang),
        )
        for name, ratio in ratios.items()
    ]
    return aligned([head, *rows])


def _verdict(ratio: Ratio) -> Words:
    if not ratio.differs:
        return Words("无差别", "no difference")
    percent = f"{abs(ratio.ratio - 1):.1%}"
    return (
        Words(f"B 高 {percent}", f"B higher by {percent}")
        if ratio.ratio > 1
        else Words(f"B 低 {percent}", f"B lower by {percent}")
    )
