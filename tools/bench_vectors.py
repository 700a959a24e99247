"""What vectors add to a search: `python -m tools.bench_vectors [--passages 60000] [--json FILE]`.

Made-up passages of one window and random vectors, one thread. Measured in turns, so that what else the machine does
hits both alike: a search by words alone, and by both, the question's vector ready (making one is the embedder's time,
and is measured apart with `--embedder e5`). Then the recall of the approximate index: the share of the exact 100
nearest passages that it finds; random vectors have no neighbours, so that theirs tells nothing. `--set PASSAGES QUERIES
--cache FILE` takes real passages and questions, and e5's vectors of them from a cache of `tools.evaluate_retrieval`:
those passages of which it has all windows. On the engine that YIJU_SEARCH names; CPU time is this process's own.
"""

import argparse
import json
import random
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
from service_kit.dense.engines import open_vectors
from service_kit.dense.index import DenseIndex
from service_kit.dense.vectors import Matrix, Vector, unit
from service_kit.dense.windows import windows
from service_kit.passages import Passage, open_reader, open_writer
from service_kit.settings import Settings, load_settings
from tools.console import run_tool
from tools.retrieval_set import read_lines, temporary_index
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
    parser.add_argument("--passages", type=int, default=60_000, help="at most (%(default)s)")
    parser.add_argument("--questions", type=int, default=500)
    parser.add_argument("--set", type=Path, nargs=2, metavar=("PASSAGES", "QUERIES"), help="real ones, as JSONL")
    parser.add_argument("--cache", type=Path, metavar="FILE", help="with --set: where their vectors are")
    parser.add_argument("--embedder", choices=["e5"], help="measure the time of a question's vector, too")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file")
    args = parser.parse_args(argv)
    if (args.set is None) != (args.cache is None):
        parser.error("--set and --cache belong together")
    given = _real(args.set[0], args.set[1], args.cache) if args.set else _random(args.passages, args.questions)
    some = Given(given.passages[: args.passages], given.vectors[: args.passages], given.asked[: args.questions])
    figures = measure(load_settings(embedder="none"), some)
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


class Given(NamedTuple):
    """`vectors`: of each passage, one row a window; `asked`: questions and their vectors."""

    passages: list[Passage]
    vectors: list[Matrix]
    asked: list[tuple[str, Vector]]


def measure(settings: Settings, given: Given) -> dict[str, Any]:
    """Milliseconds (p50, p99) of a search by words, by both, and the difference, by the clock and of this thread alone;
    the recall of the exact NEAREST; seconds to store all vectors; MB of them in files."""
    with temporary_index(settings) as own:
        with closing(open_writer(own)) as writer:
            writer.upsert(tqdm(given.passages, desc="index", disable=None))
            writer.commit()
        embedder = _Given(dict(given.asked))
        with (
            closing(DenseIndex(open_vectors(own), embedder)) as dense,
            closing(open_reader(own)) as reader,
            closing(open_reader(own)) as another,  # a reader remembers the question that it was asked last
        ):
            build_s = _timed(partial(_store, dense, given)).wall / 1000
            words, both = Searcher(own, reader, None, None), Searcher(own, another, dense, None)
            for question, _ in given.asked[:20]:  # warm
                both.search(question, 2, Deadline())
            times = [
                (_timed(partial(words.search, one, 2, Deadline())), _timed(partial(both.search, one, 2, Deadline())))
                for one, _ in tqdm(given.asked, desc="search", disable=None)
            ]
            recall = _recall(dense, given)
            megabytes = sum(file.stat().st_size for file in own.data.glob("vectors*")) / 1e6
    return {
        "passages": len(given.passages),
        "windows": sum(map(len, given.vectors)),
        "words_ms": _quantiles([one.wall for one, _ in times]),
        "both_ms": _quantiles([one.wall for _, one in times]),
        "added_ms": _quantiles([both.wall - words.wall for words, both in times]),
        "added_cpu_ms": _quantiles([both.cpu - words.cpu for words, both in times]),
        "recall": recall,
        "build_s": build_s,
        "disk_mb": megabytes,
    }


def _store(dense: DenseIndex, given: Given) -> None:
    with dense.vectors.filling(wait=True):
        for at in tqdm(range(0, len(given.passages), 1000), desc="vectors", disable=None):
            some = zip(given.passages[at : at + 1000], given.vectors[at : at + 1000], strict=True)
            dense.vectors.add(dense.embedder.identity, {passage.id: matrix for passage, matrix in some})
        dense.vectors.settle(finished=True)
    dense.vectors.refresh()


def _recall(dense: DenseIndex, given: Given) -> float:
    every, starts = np.concatenate(given.vectors), np.cumsum([0, *map(len, given.vectors[:-1])])
    shares = []
    for _, question in given.asked:
        best_windows = np.maximum.reduceat(every @ question, starts)
        exact = np.argsort(-best_windows)[:NEAREST]
        found = dense.near(question, NEAREST, [], Deadline()).nearest
        shares.append(sum(given.passages[n].id in found for n in exact) / len(exact))
    return fmean(shares)


def _random(passages: int, questions: int) -> Given:
    dice = np.random.default_rng(0)
    vectors = unit(dice.normal(size=(passages, DIMENSION)))
    made_up = [Passage(_sentence(-n, 8), _sentence(10**6 + n, 90)) for n in range(passages)]
    return Given(
        made_up, list(vectors[:, None]), [(_sentence(n, 18), _beside(vectors, dice)) for n in range(questions)]
    )


def _real(passages: Path, queries: Path, cache: Path) -> Given:
    """Passages of which some windows are not in the cache are left out."""
    found: dict[Passage, Matrix] = {}
    with closing(CachedEmbedder(E5Embedder(threads=1), cache)) as cached:
        for line in tqdm(read_lines(passages), desc="passages", disable=None):
            passage = Passage(line["title"], line["text"])
            if (matrix := cached.known_passages(windows(passage.title, passage.text))) is not None:
                found[passage] = unit(matrix)
        asked = {line["query"]: cached.embed_query(line["query"], Deadline()) for line in read_lines(queries)}
    return Given([*found], [*found.values()], [*asked.items()])


def _beside(vectors: Matrix, dice: np.random.Generator) -> Vector:
    """A vector that some of the others are near to, as a question's is."""
    middle = vectors[dice.integers(len(vectors))] + vectors[dice.integers(len(vectors))]
    noisy: Vector = unit(middle + dice.normal(size=middle.shape) * np.linalg.norm(middle) / middle.size**0.5 / 2)
    return noisy


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
