"""Times searching: `python -m tools.bench_search BENCH_DIR [--engine elasticsearch] [--json FILE]`.

BENCH_DIR holds the passages and queries of the two retrieval benches. Without more, an index of 20,000 passages is
built and measured: es_search over HTTP against its own reader in turns, searches a second, questions of 10,000
characters. With `--passages 1000000` a search is timed from 10,000 passages up to that many, recombined from
the benches' sentences; `--keep DIR` keeps the indexes for the next run (a million takes some ten minutes to build).

With `--engine elasticsearch`, on the server of the settings, es_search over HTTP is measured in turns with its own
reader, with Elasticsearch's Python client alone (the one request that finds the same passages, made ready before: no
weights, no order of law, no fallbacks), and with the tutorial's `match` over the same passages; and long questions.
"""

import argparse
import json
import random
import sys
import tempfile
from collections.abc import Iterator, Sequence
from contextlib import ExitStack, closing
from dataclasses import asdict
from pathlib import Path
from typing import Any

import numpy as np
from elasticsearch import helpers

from service_kit.passages import Passage, open_reader, open_writer
from service_kit.passages.analysis import question_terms
from service_kit.passages.elastic_query import SHORT, scored_at_once, search_body
from service_kit.settings import Settings, load_settings
from tools.bench_index import one_field_index
from tools.console import run_tool
from tools.retrieval_set import temporary_index
from tools.search_bench import growth, served
from tools.search_bench.bar import Bar
from tools.search_bench.corpus import passages, questions
from tools.search_bench.plot import plot

PASSAGES = 20_000
SEARCHES = 2_000
READER, CLIENT = "direct", "client"
"""Ways beside HTTP: Yiju's own reader in this process; Elasticsearch's client alone."""
LONG = 10_000
"""Characters of a long question."""


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code: 1 when a bar is missed."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench_search", description=__doc__.splitlines()[0])
    parser.add_argument("bench", type=Path)
    parser.add_argument(
        "--passages", type=int, choices=growth.SIZES, help="time a search from 10,000 passages up to so many"
    )
    parser.add_argument("--engine", choices=("embedded", "elasticsearch"), default="embedded")
    parser.add_argument("--searches", type=int, default=SEARCHES, help="questions per figure (%(default)s)")
    parser.add_argument("--keep", type=Path, metavar="DIR", help="build the indexes there, and use what is there")
    parser.add_argument("--plot", type=Path, metavar="PNG", help="draw the growth")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file")
    args = parser.parse_args(argv)
    with ExitStack() as stack:
        directory = args.keep or Path(stack.enter_context(tempfile.TemporaryDirectory()))
        if args.engine == "elasticsearch":
            if args.passages:
                parser.error("--passages is for the embedded engine")
            with temporary_index(load_settings(search="elasticsearch")) as settings:
                figures, bars = in_elasticsearch(args.bench, settings, args.searches)
        elif args.passages:
            figures, bars = grown(args.bench, directory, args.passages, args.searches, args.plot)
        else:
            settings = load_settings(data=directory, search="embedded")
            figures, bars = at_one_size(args.bench, settings, args.searches)
    for bar in bars:
        print(bar.line())
    if args.json:
        rows = [{**asdict(bar), "reached": bar.reached} for bar in bars]
        args.json.write_text(json.dumps({**figures, "bars": rows}, indent=2))
    return 0 if all(bar.reached for bar in bars) else 1


def grown(
    bench: Path, directory: Path, most: int, searches: int, picture: Path | None
) -> tuple[dict[str, Any], list[Bar]]:
    """The embedded engine at every size up to `most`."""
    sizes = []
    print(f"{'passages':>10} {'p50 ms':>8} {'p99 ms':>8} {'memory MB':>10} {'disk MB':>9} {'segments':>9}")
    for one in growth.measure(bench, growth.build(bench, directory, most), searches):
        sizes.append(one)
        print(
            f"{one.passages:>10} {one.p50:8.2f} {one.p99:8.2f} {one.memory:10.0f} {one.disk:9.0f} {one.segments:9}",
            flush=True,
        )
    if picture:
        plot(sizes, picture)
    last = sizes[-1]
    bars = [
        Bar(f"p50 at {last.passages} passages, ms", last.p50, 12.0, upper=True),
        Bar(f"p99 at {last.passages} passages, ms", last.p99, 25.0, upper=True),
    ]
    return {"growth": [asdict(one) for one in sizes]}, bars


def at_one_size(bench: Path, settings: Settings, searches: int) -> tuple[dict[str, Any], list[Bar]]:
    """HTTP, throughput and long questions over PASSAGES passages."""
    print(f"indexing {PASSAGES} passages", file=sys.stderr)
    indexed = list(passages(bench, PASSAGES))
    with closing(open_writer(settings)) as writer:
        for start in range(0, PASSAGES, growth.COMMIT):  # as es_index commits them
            writer.upsert(indexed[start : start + growth.COMMIT])
            writer.commit()
    asked = questions(bench, searches)
    with closing(open_reader(settings)) as reader:
        times = served.latencies(settings, asked, {READER: lambda question: reader.search(question, served.TOP_K)})
        long_times, right = served.long_question_milliseconds(reader, list(long_questions(indexed)))
    rates = {threads: served.searches_per_second(settings, asked, threads) for threads in (1, 2)}
    bars = [
        *_latency_bars(times, long_times, right),
        Bar("searches/s, two threads", rates[2], 300.0, upper=False),
    ]
    figures = _figures(settings, times, long_times)
    figures["searches_per_second"] = {str(threads): rate for threads, rate in rates.items()}
    print("searches_per_second", {key: round(value, 2) for key, value in figures["searches_per_second"].items()})
    return figures, bars


def in_elasticsearch(bench: Path, settings: Settings, searches: int) -> tuple[dict[str, Any], list[Bar]]:
    """HTTP, the tutorial's way, and long questions, over PASSAGES passages; `settings`: an index of its own."""
    print(f"indexing {PASSAGES} passages twice", file=sys.stderr)
    indexed = list(passages(bench, PASSAGES))
    with closing(open_writer(settings)) as writer:
        writer.upsert(indexed)
        writer.commit()
    with one_field_index(settings) as (client, name):
        actions = ({"_index": name, "_id": at, "content": one.content} for at, one in enumerate(indexed))
        helpers.bulk(client, actions)
        client.indices.refresh(index=name)

        def match(question: str) -> object:
            return client.search(index=name, query={"match": {"content": question}}, size=served.TOP_K)

        asked = [one for one in questions(bench, searches) if len(one) <= SHORT]
        bodies = {one: _body(settings, one) for one in asked}
        with closing(open_reader(settings)) as reader:
            ways = {
                READER: lambda question: reader.search(question, served.TOP_K),
                CLIENT: lambda question: client.search(index=settings.es_index, **bodies[question]),
                "tutorial": match,
            }
            times = served.latencies(settings, asked, ways)
            long_times, right = served.long_question_milliseconds(reader, list(long_questions(indexed)))
    figures = _figures(settings, times, long_times)
    bars = [
        Bar(f"added to the client alone, p{at}, ms", times.added(at, CLIENT), bar, upper=True)
        for at, bar in ((50, 2.0), (99, 6.0))
    ]
    return figures, [*_latency_bars(times, long_times, right), *bars]


def _body(settings: Settings, question: str) -> dict[str, Any]:
    """The search that Yiju's reader makes of a question that names nothing."""
    scored = scored_at_once(settings.es_analysis, question, question_terms(question))
    return search_body(scored or {"match_none": {}}, served.TOP_K)


def _latency_bars(times: served.Latencies, long_times: Sequence[float], right: int) -> list[Bar]:
    return [
        Bar("added by HTTP, p50, ms", times.added(50, READER), 2.0, upper=True),
        Bar("added by HTTP, p99, ms", times.added(99, READER), 6.0, upper=True),
        Bar(f"a question of {LONG} characters, slowest, ms", max(long_times), 100.0, upper=True),
        Bar("the same, share with the quoted passage first", right / len(long_times), 1.0, upper=False),
    ]


def _figures(settings: Settings, times: served.Latencies, long_times: Sequence[float]) -> dict[str, Any]:
    figures: dict[str, Any] = {
        "engine": settings.search,
        **({"analysis": settings.es_analysis} if settings.search == "elasticsearch" else {}),
        "passages": PASSAGES,
        "searches": len(times.http),
        "http_ms": _percentiles(times.http),
        **{f"{name}_ms": _percentiles(taken) for name, taken in times.beside.items()},
        "long_question_ms": list(long_times),
    }
    for name in (served.HTTP, *times.beside):
        print(f"{name}_ms", {key: round(value, 2) for key, value in figures[f"{name}_ms"].items()})
    return figures


def _percentiles(milliseconds: Sequence[float]) -> dict[str, float]:
    return {f"p{at}": float(np.percentile(milliseconds, at)) for at in (50, 99)}


def long_questions(indexed: Sequence[Passage]) -> Iterator[tuple[str, str]]:
    """Questions of LONG characters that quote one passage: alone over and over, among shuffled text, among noise."""
    dice = random.Random(7)  # noqa: S311  # the same questions on every run
    quoted = dice.sample([one for one in indexed if 100 < len(one.text) < 1000], 60)
    for number, passage in enumerate(quoted):
        rest = LONG - len(passage.content)
        if number % 3 == 0:
            filling = (passage.content * (LONG // len(passage.content)))[:rest]
        elif number % 3 == 1:
            characters = "".join(one.text for one in dice.sample(indexed, 200))
            filling = "".join(dice.choices(characters, k=rest))
        else:
            filling = "".join(chr(dice.randrange(0x4E00, 0x9FA0)) for _ in range(rest))
        at = dice.randrange(rest)
        yield filling[:at] + "。" + passage.content + "。" + filling[at:], passage.id


if __name__ == "__main__":
    run_tool(main)
