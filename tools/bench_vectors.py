"""What vectors add to a search: `python -m tools.bench_vectors [--passages 60000] [--json FILE]`.

Made-up passages and random vectors, one thread. Measured in turns, so that what else the machine does hits both alike:
a search by words alone, and by both, the question's vector ready (making one is the embedder's time, and is measured
apart with `--embedder e5`). Then the recall of the approximate index: the share of the exact 100 nearest that it finds.
`--cache FILE --queries QUERIES` takes e5's vectors and those of real questions from a cache of
`tools.evaluate_retrieval` instead: the recall that matters.
"""

import argparse
import json
import random
import sqlite3
import tempfile
import time
from collections.abc import Callable, Sequence
from contextlib import closing
from functools import partial
from itertools import accumulate
from pathlib import Path
from statistics import fmean
from typing import Any, NamedTuple

import numpy as np
from tqdm import tqdm

from es_search.searcher import Searcher
from service_kit.deadline import Deadline
from service_kit.dense.e5 import E5Embedder
from service_kit.dense.index import DenseIndex
from service_kit.dense.vectors import Matrix, Vector, from_bytes, unit
from service_kit.passages import Passage, open_reader, open_writer
from service_kit.settings import load_settings
from tools.console import run_tool
from tools.retrieval_set import read_lines
from tools.vector_cache import CachedEmbedder

DIMENSION = 384
NEAREST = 100
_HAN = [chr(code) for code in range(0x4E00, 0x4E00 + 3000)]
_WEIGHTS = list(accumulate(1 / (rank + 20) for rank in range(len(_HAN))))
"""Some characters are frequent and most are rare, as in a language."""


class _Given:
    """An embedder of vectors that are known beforehand."""

    identity = "bench"

    def __init__(self, questions: dict[str, Vector]) -> None:
        self._questions = questions

    def embed_query(self, question: str, deadline: Deadline) -> Vector:
        return self._questions[question]

    def embed_passages(self, texts: Sequence[str]) -> Matrix:
        raise NotImplementedError

    def close(self) -> None:
        """Nothing is open."""


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench_vectors", description=__doc__.splitlines()[0])
    parser.add_argument("--passages", type=int, default=60_000)
    parser.add_argument("--questions", type=int, default=500)
    parser.add_argument("--cache", type=Path, metavar="FILE", help="take the vectors from this cache")
    parser.add_argument("--queries", type=Path, metavar="FILE", help="with --cache: the questions, as JSONL")
    parser.add_argument("--embedder", choices=["e5"], help="measure the time of a question's vector, too")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file")
    args = parser.parse_args(argv)
    dice = np.random.default_rng(0)
    vectors = _cached(args.cache, args.passages) if args.cache else unit(dice.normal(size=(args.passages, DIMENSION)))
    if args.queries:
        queries = [line["query"] for line in read_lines(args.queries)][: args.questions]
        with closing(CachedEmbedder(E5Embedder(threads=1), args.cache)) as cached:
            asked = {query: cached.embed_query(query, Deadline()) for query in queries}
    else:
        asked = {_sentence(n, 18): _beside(vectors, dice) for n in range(args.questions)}
    figures = measure(vectors, asked)
    if args.embedder:
        embedder = E5Embedder(threads=1)
        figures["question_ms"] = _quantiles(
            [_timed(partial(embedder.embed_query, _sentence(n, 18), Deadline())).wall for n in range(args.questions)]
        )
    for name, value in figures.items():
        shown = f"p50 {value['p50']:.2f}  p99 {value['p99']:.2f}" if isinstance(value, dict) else f"{value:.4g}"
        print(f"{name:>12}  {shown}")
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2))
    return 0


def measure(vectors: Matrix, asked: dict[str, Vector]) -> dict[str, Any]:
    """Milliseconds (p50, p99) of a search by words, by both, and the difference, by the clock and of this thread alone;
    the recall of the exact NEAREST; seconds to build the approximate index; MB of all vectors on disk."""
    passages = [Passage(_sentence(-n, 8), _sentence(10**6 + n, 90)) for n in range(len(vectors))]
    with tempfile.TemporaryDirectory() as directory:
        settings = load_settings(data=Path(directory), embedder="none")
        with closing(open_writer(settings)) as writer:
            writer.upsert(tqdm(passages, desc="index", disable=None))
            writer.commit()
        with closing(DenseIndex(settings.data, _Given(asked))) as dense, closing(open_reader(settings)) as reader:
            for at in range(0, len(vectors), 1000):
                some = zip(passages[at : at + 1000], vectors[at : at + 1000, None], strict=True)
                dense.store.add("bench", {passage.id: vector for passage, vector in some})
            build_s = _timed(dense.nearest.grow).wall / 1000
            words, both = Searcher(settings, reader, None, None), Searcher(settings, reader, dense, None)
            for question in [*asked][:20]:  # warm
                both.search(question, 2, Deadline())
            times = [
                (_timed(partial(words.search, one, 2, Deadline())), _timed(partial(both.search, one, 2, Deadline())))
                for one in tqdm(asked, desc="search", disable=None)
            ]
            recall = fmean(_recall(dense, vectors, passages, vector) for vector in list(asked.values())[:200])
            megabytes = sum(file.stat().st_size for file in settings.data.glob("vectors*")) / 1e6
    return {
        "words_ms": _quantiles([one.wall for one, _ in times]),
        "both_ms": _quantiles([one.wall for _, one in times]),
        "added_ms": _quantiles([both.wall - words.wall for words, both in times]),
        "added_cpu_ms": _quantiles([both.cpu - words.cpu for words, both in times]),
        "recall": recall,
        "build_s": build_s,
        "disk_mb": megabytes,
    }


def _recall(dense: DenseIndex, vectors: Matrix, passages: Sequence[Passage], question: Vector) -> float:
    exact = np.argpartition(-(vectors @ question), NEAREST)[:NEAREST]
    found = dense.search(question, NEAREST)
    return sum(passages[int(n)].id in found for n in exact) / NEAREST


def _beside(vectors: Matrix, dice: np.random.Generator) -> Vector:
    """A vector that some of the others are near to, as a question's is."""
    middle = vectors[dice.integers(len(vectors))] + vectors[dice.integers(len(vectors))]
    noisy: Vector = unit(middle + dice.normal(size=middle.shape) * np.linalg.norm(middle) / middle.size**0.5 / 2)
    return noisy


def _cached(path: Path, most: int) -> Matrix:
    with closing(sqlite3.connect(path)) as db:
        rows = [row[0] for row in db.execute("SELECT vector FROM vectors LIMIT ?", (most,))]
    return from_bytes(rows, DIMENSION)


def _sentence(seed: int, length: int) -> str:
    dice = random.Random(seed)  # noqa: S311
    return "".join(dice.choices(_HAN, cum_weights=_WEIGHTS, k=length))


class _Time(NamedTuple):
    """Milliseconds by the clock, and of them those in which this thread had a core."""

    wall: float
    cpu: float


def _timed(work: Callable[[], object]) -> _Time:
    wall, cpu = time.perf_counter(), time.thread_time()
    work()
    return _Time((time.perf_counter() - wall) * 1000, (time.thread_time() - cpu) * 1000)


def _quantiles(values: Sequence[float]) -> dict[str, float]:
    return {f"p{percent}": float(np.percentile(values, percent)) for percent in (50, 99)}


if __name__ == "__main__":
    run_tool(main)
