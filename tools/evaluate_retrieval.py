"""Measures retrieval: `python -m tools.evaluate_retrieval PASSAGES.jsonl[.xz] QUERIES.jsonl[.xz]`.

A passage is `{"id", "title", "text"}`, a query `{"query", "gold": [ids]}`. The index is built in a temporary directory,
or under a name of its own in the Elasticsearch of the settings, and removed afterwards.

R@k: share of the queries with a gold passage among the first k hits. MRR@10: mean of 1 / rank of the first gold
passage, 0 beyond rank 10. Intervals: 95 %, from BOOTSTRAPS resamples of the queries.
"""

import argparse
import json
import lzma
import random
import tempfile
import time
import uuid
from collections import Counter, defaultdict
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any, get_args

from tqdm import tqdm

from service_kit.passages import Passage, PassageReader, open_reader, open_writer
from service_kit.passages.elastic_connection import connect
from service_kit.passages.elastic_indices import Indices
from service_kit.passages.elastic_mapping import Analysis
from service_kit.settings import Settings, load_settings
from tools.console import run_tool

DEPTH = 100
BOOTSTRAPS = 1000
NOT_FOUND = DEPTH + 1

Histogram = Mapping[int, int]
"""Rank of the first gold passage (NOT_FOUND beyond DEPTH) -> number of queries."""


def recall_at(k: int) -> Callable[[Histogram], float]:
    """The measure R@k."""
    return lambda ranks: sum(count for rank, count in ranks.items() if rank <= k) / sum(ranks.values())


def reciprocal_rank_at_10(ranks: Histogram) -> float:
    """The measure MRR@10."""
    return sum(count / rank for rank, count in ranks.items() if rank <= 10) / sum(ranks.values())


MEASURES: Mapping[str, Callable[[Histogram], float]] = {
    **{f"R@{k}": recall_at(k) for k in (1, 2, 5, 10, DEPTH)},
    "MRR@10": reciprocal_rank_at_10,
}


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    engines = get_args(Settings.model_fields["search"].annotation)
    parser = argparse.ArgumentParser(prog="python -m tools.evaluate_retrieval", description=__doc__.splitlines()[0])
    parser.add_argument("passages", type=Path)
    parser.add_argument("queries", type=Path)
    parser.add_argument("--engine", choices=engines, default=engines[0])
    parser.add_argument("--analysis", choices=get_args(Analysis), help="of Elasticsearch (YIJU_ES_ANALYSIS)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file")
    args = parser.parse_args(argv)
    with temporary_index(args.engine, args.analysis) as settings:
        names = index(settings, args.passages)
        queries = list(read_lines(args.queries))
        began = time.perf_counter()
        with closing(open_reader(settings)) as reader:
            ranks = [rank_of_gold(reader, names, query) for query in tqdm(queries, desc="search", disable=None)]
        milliseconds = (time.perf_counter() - began) * 1000 / len(queries)
    figures = summarise(ranks)
    print_table(figures)
    print(f"{len(ranks)} queries, {milliseconds:.1f} ms each")
    if args.json:
        facts = {
            "engine": args.engine,
            "analysis": analysis_of(settings),
            "queries": len(ranks),
            "ms_per_query": round(milliseconds, 2),
        }
        args.json.write_text(json.dumps({**facts, **figures}, indent=2))
    return 0


@contextmanager
def temporary_index(engine: str, form: str | None = None) -> Iterator[Settings]:
    """Settings whose index is gone afterwards."""
    with tempfile.TemporaryDirectory() as directory:
        name = f"yiju-tool-{uuid.uuid4().hex[:12]}"
        analysis = {"es_analysis": form} if form else {}
        settings = load_settings(data=Path(directory), search=engine, es_index=name, **analysis)
        try:
            yield settings
        finally:
            if engine == "elasticsearch":
                with closing(connect(settings)) as client:
                    indices = Indices(client, settings.es_index, settings.es_analysis)
                    for one in indices.all():
                        indices.delete(one.name)


def analysis_of(settings: Settings) -> str | None:
    """None for the embedded engine, which has but one."""
    return settings.es_analysis if settings.search == "elasticsearch" else None


def index(settings: Settings, path: Path) -> Mapping[str, set[str]]:
    """Index all passages. Returns, by passage id, the benchmark's ids: equal passages are stored once."""
    names: defaultdict[str, set[str]] = defaultdict(set)
    with closing(open_writer(settings)) as writer:
        for line in tqdm(read_lines(path), desc="index", disable=None):
            passage = Passage(line["title"], line["text"])
            names[passage.id].add(line["id"])
            writer.upsert([passage])
        writer.commit()
    return names


def rank_of_gold(reader: PassageReader, names: Mapping[str, set[str]], query: Mapping[str, Any]) -> int:
    """Rank, from 1, of the first gold passage."""
    gold = set(query["gold"])
    hits = reader.search(query["query"], DEPTH).hits
    return next((rank for rank, hit in enumerate(hits, 1) if names[hit.id] & gold), NOT_FOUND)


def summarise(ranks: Sequence[int]) -> dict[str, Any]:
    """Each measure by its name, 0..1, and under `intervals` its 95 % interval `[low, high]`."""
    dice = random.Random(0)  # noqa: S311  # the same figures on every run
    samples = [Counter(dice.choices(ranks, k=len(ranks))) for _ in range(BOOTSTRAPS)]
    figures: dict[str, Any] = {name: measure(Counter(ranks)) for name, measure in MEASURES.items()}
    tail = BOOTSTRAPS // 40
    intervals = {}
    for name, measure in MEASURES.items():
        values = sorted(map(measure, samples))
        intervals[name] = [values[tail], values[-tail - 1]]
    return {**figures, "intervals": intervals}


def print_table(figures: Mapping[str, Any]) -> None:
    """In percent."""
    for name in MEASURES:
        low, high = figures["intervals"][name]
        print(f"{name:>7}  {100 * figures[name]:6.2f}   {100 * low:6.2f} – {100 * high:6.2f}")


def read_lines(path: Path) -> Iterator[dict[str, Any]]:
    """The objects of a JSONL file, compressed when its name ends in `.xz`."""
    opener = lzma.open if path.suffix == ".xz" else open
    with opener(path, "rt", encoding="utf-8") as lines:
        yield from map(json.loads, lines)


if __name__ == "__main__":
    run_tool(main)
