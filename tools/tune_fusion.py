"""Chooses λ, how much meaning counts beside words, for your own questions.

`python -m tools.tune_fusion QUESTIONS.jsonl`. A question is `{"query", "gold": [...]}`; gold are passages' `id`s as
es_search shows them, or the `source`s they bear. The index and the embedder are those of the settings, and all vectors
must have been made. `--passages FILE` takes a set's passages (see tools.evaluate_retrieval) instead of the index.

Each λ is tried on all questions; what choosing brings is judged by cross-validation: chosen on four fifths, measured on
the fifth that had no say, for ten divisions. A λ is recommended only when that beats the one in use, with the 95 %
interval of the paired difference above 0; with fewer than LEAST questions that can tell, nothing is chosen.
"""

import argparse
import json
import random
from collections.abc import Mapping, Sequence
from contextlib import closing
from pathlib import Path
from statistics import fmean
from typing import Any

from tqdm import tqdm

from es_search.fusion import Weights
from es_search.hybrid import DEPTH, Candidates, gather
from service_kit.deadline import Deadline
from service_kit.dense.choose import choose_embedder
from service_kit.errors import InvalidRequest, YijuError
from service_kit.passages import NO_FILTERS, PassageReader, open_reader
from service_kit.passages.authority import by_authority
from service_kit.settings import Settings, load_settings
from tools.console import Say, run_tool, speaker
from tools.retrieval_set import opened_set, read_lines

GRID = (0.0, 0.5, 1.0, 1.5, 2.0, 3.0, 4.0, 5.0, 6.0, 8.0, 10.0, 15.0)
LEAST = 50
"""Questions that can tell: a right passage is among the candidates. With fewer, λ would be chosen by chance."""
FOLDS = 5
DIVISIONS = 10
BOOTSTRAPS = 1000


def main(argv: Sequence[str] | None = None) -> int:
    """Returns 1 when it refuses to choose."""
    settings = load_settings()
    parser = argparse.ArgumentParser(prog="python -m tools.tune_fusion", description=__doc__.splitlines()[0])
    parser.add_argument("questions", type=Path)
    parser.add_argument("--passages", type=Path, help="a set's passages instead of the index")
    parser.add_argument("--cache", type=Path, metavar="FILE", help="with --passages: keep vectors here between runs")
    parser.add_argument("--near-words", action="store_true", help="with --passages: see tools.evaluate_retrieval")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file")
    args = parser.parse_args(argv)
    say = speaker(settings)
    used = Weights.of(settings)
    ranks = _ranks(settings, args, sorted({*GRID, used.dense}), used.document)
    figures = judge(ranks, used.dense)
    _show(figures, say)
    if args.json:
        args.json.write_text(json.dumps(figures, indent=2))
    return 1 if figures["telling"] < LEAST else 0


def judge(ranks: Mapping[float, Sequence[int | None]], used: float) -> dict[str, Any]:
    """What is known of each λ.

    Args:
        ranks: by λ, for each question the rank of its first right passage; None: it is no candidate at all.
        used: the λ in use; `ranks` has it.
    """
    questions = len(ranks[used])
    gains = {weight: [_gain(rank) for rank in some] for weight, some in ranks.items()}
    telling = sum(rank is not None for rank in ranks[used])
    best = _best(gains, range(questions))
    chosen = _chosen(gains, questions)
    held_out = _held_out(gains, chosen)
    differences = [after - before for after, before in zip(held_out, gains[used], strict=True)]
    return {
        "questions": questions,
        "telling": telling,
        "used": used,
        "best": best,
        "curve": {
            str(weight): {"R@2": _share(some, 2), "MRR@10": fmean(gains[weight])} for weight, some in ranks.items()
        },
        "cross_validated": {
            **{f"R@{k}": fmean(_held_out(_within(ranks, k), chosen)) for k in (2, 10)},
            "MRR@10": fmean(held_out),
        },
        "used_mrr": fmean(gains[used]),
        "interval": _interval(differences),
    }


def _gain(rank: int | None) -> float:
    return 1 / rank if rank is not None and rank <= 10 else 0.0


def _share(ranks: Sequence[int | None], k: int) -> float:
    return sum(rank is not None and rank <= k for rank in ranks) / len(ranks)


def _best(gains: Mapping[float, Sequence[float]], of: Sequence[int]) -> float:
    """The λ with the best MRR@10 on these questions, its neighbours' counted half: a peak of one λ is chance."""
    weights = sorted(gains)
    means = [fmean(gains[weight][n] for n in of) for weight in weights]
    padded = [means[0], *means, means[-1]]
    smooth = [(padded[n] + 2 * padded[n + 1] + padded[n + 2]) / 4 for n in range(len(means))]
    return weights[max(range(len(weights)), key=lambda n: smooth[n])]


def _chosen(gains: Mapping[float, Sequence[float]], questions: int) -> list[list[float]]:
    """For each question the λ that the questions of the other folds chose, one for each division."""
    chosen: list[list[float]] = [[] for _ in range(questions)]
    for division in range(DIVISIONS):
        order = list(range(questions))
        random.Random(division).shuffle(order)  # noqa: S311
        for fold in range(FOLDS):
            held = set(order[fold::FOLDS])
            if held and len(held) < questions:
                weight = _best(gains, [n for n in order if n not in held])
                for n in held:
                    chosen[n].append(weight)
    return chosen


def _held_out(values: Mapping[float, Sequence[float]], chosen: Sequence[Sequence[float]]) -> list[float]:
    """For each question the mean of what the chosen λs gave it; 0 when there was nothing to choose by."""
    return [fmean(values[weight][n] for weight in weights) if weights else 0.0 for n, weights in enumerate(chosen)]


def _within(ranks: Mapping[float, Sequence[int | None]], k: int) -> dict[float, list[float]]:
    return {weight: [float(rank is not None and rank <= k) for rank in some] for weight, some in ranks.items()}


def _interval(differences: Sequence[float]) -> list[float]:
    dice = random.Random(0)  # noqa: S311
    means = sorted(fmean(dice.choices(differences, k=len(differences))) for _ in range(BOOTSTRAPS))
    return [means[BOOTSTRAPS // 40], means[-BOOTSTRAPS // 40 - 1]]


def _ranks(
    settings: Settings, args: argparse.Namespace, grid: Sequence[float], document: float
) -> dict[float, list[int | None]]:
    found: dict[float, list[int | None]] = {weight: [] for weight in grid}

    def look(reader: PassageReader, dense: Any, query: Mapping[str, Any], names: Mapping[str, set[str]] | None) -> None:
        by_words = reader.search(query["query"], DEPTH).hits
        candidates = gather(reader, dense, query["query"], by_words, filters=NO_FILTERS, deadline=Deadline())
        gold = set(query["gold"])
        right = {one for one in candidates.hits if gold & _names(candidates, one, names)}
        for weight, ranks in found.items():
            scores = candidates.scores(Weights(weight, document))
            order = by_authority(list(scores), scores, candidates.hits, settings.authority, len(scores))
            ranks.append(next((n for n, one in enumerate(order, 1) if one in right), None))

    embedder = choose_embedder(settings)
    if embedder is None:
        raise InvalidRequest("没有设置 YIJU_EMBEDDER", "YIJU_EMBEDDER is not set")
    if args.passages:
        with opened_set(
            settings, args.passages, args.questions, cache=args.cache, near_words=args.near_words
        ) as opened:
            for query in tqdm(opened.queries, desc="search", disable=None):
                look(opened.reader, opened.dense, query, opened.names)
        return found
    from service_kit.dense.engines import open_vectors  # noqa: PLC0415  # numpy and usearch
    from service_kit.dense.index import DenseIndex  # noqa: PLC0415

    with closing(open_reader(settings)) as reader, closing(DenseIndex(open_vectors(settings), embedder)) as dense:
        dense.vectors.refresh()
        missing = len(reader.ids() - dense.vectors.passages())
        if missing:
            raise _NotReady(
                f"还有 {missing} 个段落没有向量，请先运行 python -m es_index 目录 --vectors",
                f"{missing} passages have no vectors yet; run python -m es_index DIR --vectors first",
            )
        for query in tqdm(list(read_lines(args.questions)), desc="search", disable=None):
            look(reader, dense, query, None)
    return found


class _NotReady(YijuError):
    """Vectors are missing, so that λ would be judged on a part of the index."""


def _names(candidates: Candidates, one: str, names: Mapping[str, set[str]] | None) -> set[str]:
    if names is not None:
        return names[one]
    return {one, candidates.hits[one].passage.fields.get("source", one)}


def _show(figures: Mapping[str, Any], say: Say) -> None:
    print(f"{'λ':>6}  {'R@2':>6}  {'MRR@10':>6}")
    top = max(one["MRR@10"] for one in figures["curve"].values()) or 1.0
    for weight, one in figures["curve"].items():
        bar = "▇" * round(40 * one["MRR@10"] / top)
        mark = " *" if float(weight) == figures["used"] else ""
        print(f"{float(weight):>6g}  {100 * one['R@2']:6.2f}  {one['MRR@10']:6.4f}  {bar}{mark}")
    low, high = figures["interval"]
    say(
        f"问题 {figures['questions']} 个，其中 {figures['telling']} 个的答案在候选之中；* 为现用值 {figures['used']:g}",
        f"{figures['questions']} questions, a right passage among the candidates of {figures['telling']}; "
        f"* is the λ in use, {figures['used']:g}",
    )
    if figures["telling"] < LEAST:
        say(f"少于 {LEAST} 个，无从选择，请保留现用值", f"Fewer than {LEAST}: too few to choose by. Keep the λ in use.")
        return
    held = figures["cross_validated"]
    gain = held["MRR@10"] - figures["used_mrr"]
    print(f"CV      {100 * held['R@2']:6.2f}  {held['MRR@10']:6.4f}  R@10 {100 * held['R@10']:.2f}")
    say(
        f"选用最佳值时，交叉验证的 MRR@10 变化 {gain:+.4f}（95%：{low:+.4f} … {high:+.4f}）",
        f"With λ chosen, MRR@10 changes by {gain:+.4f} in cross-validation (95 %: {low:+.4f} … {high:+.4f})",
    )
    if low > 0:
        say(f"建议：YIJU_DENSE_WEIGHT={figures['best']:g}", f"Recommended: YIJU_DENSE_WEIGHT={figures['best']:g}")
    else:
        say("没有可靠的改进，请保留现用值", "No gain that is sure: keep the λ in use")


if __name__ == "__main__":
    run_tool(main)
