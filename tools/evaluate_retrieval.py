"""Measures retrieval: `python -m tools.evaluate_retrieval PASSAGES.jsonl[.xz] QUERIES.jsonl[.xz] …`, one or more sets.

A passage is `{"id", "title", "text"}`, a query `{"query", "gold": [ids]}`. The index is built in a temporary directory,
or under a name of its own in the Elasticsearch of the settings, and removed afterwards. With an embedder or a reranker
the sets are printed side by side, against words alone.

R@k: share of the queries with a gold passage among the first k hits. MRR@10: mean of 1 / rank of the first gold
passage, 0 beyond rank 10. Intervals: 95 %, from BOOTSTRAPS resamples of the queries; of a difference, paired.
"""

import argparse
import json
import random
import time
from collections import Counter
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import Any, get_args

from tqdm import tqdm

from es_search.hybrid import DEPTH
from service_kit.deadline import Deadline
from service_kit.settings import Settings, load_settings
from tools.console import run_tool
from tools.retrieval_set import RetrievalSet, opened_set

BOOTSTRAPS = 1000

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
    args = _arguments(argv)
    given = {
        name: getattr(args, name) for name in ("search", "es_analysis", "embedder", "fusion", "reranker", "authority")
    }
    wanted = {name: value for name, value in given.items() if value is not None}
    # Measured is the order, not the patience.
    settings = load_settings(**{"embedder": "none", "embed_budget_s": 3600.0, "rerank_budget_s": 3600.0} | wanted)
    plain = settings.embedder_name == "none" and settings.reranker == "none" and args.authority is None
    results = {}
    for passages, queries in zip(args.files[::2], args.files[1::2], strict=True):
        with opened_set(settings, passages, queries, cache=args.cache, near_words=args.near_words) as opened:
            results[queries.name.split(".")[0]] = _measure(opened, plain=plain)
    if plain:
        for figures in results.values():
            print_table(figures)
            print(f"{figures['queries']} queries, {figures['ms_per_query']:.1f} ms each")
    else:
        _print_beside(results)
    if args.json:
        analysis = settings.es_analysis if settings.search == "elasticsearch" else None
        facts: dict[str, Any] = {"engine": settings.search, "analysis": analysis}
        if not plain:
            facts |= {"embedder": settings.embedder_name, "fusion": settings.fusion, "reranker": settings.reranker}
            facts |= {"authority": settings.authority, "near_words": args.near_words}
        one = next(iter(results.values()))
        args.json.write_text(json.dumps({**facts, **(one if len(results) == 1 else results)}, indent=2))
    return 0


def _arguments(argv: Sequence[str] | None) -> argparse.Namespace:
    fields = Settings.model_fields
    parser = argparse.ArgumentParser(prog="python -m tools.evaluate_retrieval", description=__doc__.splitlines()[0])
    parser.add_argument("files", type=Path, nargs="+", metavar="PASSAGES QUERIES", help="one or more pairs")
    parser.add_argument("--engine", dest="search", choices=get_args(fields["search"].annotation))
    parser.add_argument(
        "--analysis", dest="es_analysis", choices=get_args(fields["es_analysis"].annotation), help="of Elasticsearch"
    )
    parser.add_argument("--embedder", choices=["none", "e5", "local", "openai"], help="default: none")
    parser.add_argument("--fusion", choices=get_args(fields["fusion"].annotation))
    parser.add_argument("--rerank", dest="reranker", choices=get_args(fields["reranker"].annotation))
    parser.add_argument(
        "--authority", type=float, metavar="SHARE", help="of YIJU_AUTHORITY; 0: the order of the scores"
    )
    parser.add_argument("--cache", type=Path, metavar="FILE", help="keep vectors here between runs")
    parser.add_argument(
        "--near-words", action="store_true", help=f"vectors only of passages among the {DEPTH} best by words"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file")
    args = parser.parse_args(argv)
    if len(args.files) % 2:
        parser.error("each PASSAGES needs its QUERIES")
    return args


def _measure(opened: RetrievalSet, *, plain: bool) -> dict[str, Any]:
    """The figures of a set; those of words alone under `words`, the differences' intervals under `gain`."""
    began = time.perf_counter()
    ranks = [
        opened.rank(query, [one.hit.id for one in opened.searcher.search(query["query"], DEPTH, Deadline()).hits])
        for query in tqdm(opened.queries, desc="search", disable=None)
    ]
    milliseconds = (time.perf_counter() - began) * 1000 / len(opened.queries)
    figures = {"queries": len(ranks), "ms_per_query": round(milliseconds, 2), **summarise(ranks)}
    if plain:
        return figures
    words = [
        opened.rank(query, [hit.id for hit in opened.reader.search(query["query"], DEPTH).hits])
        for query in opened.queries
    ]
    return {**figures, "words": summarise(words), "gain": gains(words, ranks)}


def summarise(ranks: Sequence[int]) -> dict[str, Any]:
    """Each measure by its name, 0..1, and under `intervals` its 95 % interval `[low, high]`."""
    dice = random.Random(0)  # noqa: S311  # the same figures on every run
    samples = [Counter(dice.choices(ranks, k=len(ranks))) for _ in range(BOOTSTRAPS)]
    figures: dict[str, Any] = {name: measure(Counter(ranks)) for name, measure in MEASURES.items()}
    return {**figures, "intervals": {name: _middle(map(measure, samples)) for name, measure in MEASURES.items()}}


def gains(before: Sequence[int], after: Sequence[int]) -> dict[str, list[float]]:
    """The 95 % interval of the gain in each measure, the same queries resampled on both sides."""
    dice = random.Random(0)  # noqa: S311
    pairs = list(zip(before, after, strict=True))
    samples = []
    for _ in range(BOOTSTRAPS):
        drawn = dice.choices(pairs, k=len(pairs))
        samples.append((Counter(one[0] for one in drawn), Counter(one[1] for one in drawn)))
    return {name: _middle(measure(new) - measure(old) for old, new in samples) for name, measure in MEASURES.items()}


def _middle(values: Iterable[float]) -> list[float]:
    ordered = sorted(values)
    tail = BOOTSTRAPS // 40
    return [ordered[tail], ordered[-tail - 1]]


def print_table(figures: Mapping[str, Any]) -> None:
    """In percent."""
    for name in MEASURES:
        low, high = figures["intervals"][name]
        print(f"{name:>7}  {100 * figures[name]:6.2f}   {100 * low:6.2f} – {100 * high:6.2f}")


def _print_beside(results: Mapping[str, Mapping[str, Any]]) -> None:
    """In percent: words alone, now, and the gain with its interval, a column for each set."""
    print(" " * 8 + "".join(f"{name + ' (' + str(figures['queries']) + ')':<40}" for name, figures in results.items()))
    print(" " * 8 + f"{'words    now    gain, 95 %':<40}" * len(results))
    for name in MEASURES:
        cells = []
        for figures in results.values():
            was, now = figures["words"][name], figures[name]
            low, high = figures["gain"][name]
            cells.append(
                f"{100 * was:5.2f}  {100 * now:5.2f}  {100 * (now - was):+5.2f} ({100 * low:+.2f} … {100 * high:+.2f})"
            )
        print(f"{name:>7} " + "".join(f"{cell:<40}" for cell in cells))


if __name__ == "__main__":
    run_tool(main)
