"""`python -m tools.bench_preprocess [--json FILE]`: how well and how fast tools.preprocess reads.

Three tables. The corpus: documents written by real libraries, whose truth is known; shares of fields that are right, of
articles that are one passage each, of characters found again, of what was written that is noise. Broken files: how each
ended. Speed: text PDFs against the bare libraries.
"""

import argparse
import json
from collections import defaultdict
from pathlib import Path

from tqdm import tqdm

from service_kit.settings import load_settings
from tools.bench_preprocess.damage import run_broken
from tools.bench_preprocess.files import all_files
from tools.bench_preprocess.score import Score, add
from tools.bench_preprocess.speed import measure
from tools.console import run_tool, speaker
from tools.preprocess.passages import Limits
from tools.preprocess.pipeline import process
from tools.preprocess.pool import Options
from tools.preprocess.tokens import estimate

_COLUMNS = ("title", "doc_no", "issued", "effective", "fields", "articles", "recall", "noise")
_BROKEN = 200


def main() -> int:
    """Returns the exit code: 0 when all targets are met."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.bench_preprocess", description=(__doc__ or "").split("\n")[0]
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="把结果写入 FILE / write the figures to FILE")
    args = parser.parse_args()
    say = speaker(load_settings())
    say("语料（百分数）", "Corpus (percent)")
    scores = score_corpus()
    print_scores(scores)
    for fault in scores["all"].faults[:20]:
        print(f"  {fault}")
    say(f"损坏文件 {_BROKEN} 个", f"{_BROKEN} broken files")
    good = [(file.name, file.data) for file in all_files()]
    broken = run_broken(good, _BROKEN, Options(seconds=20))
    print(f"  {broken.seconds:.0f} s  " + "  ".join(f"{name} {count}" for name, count in broken.ends.items()))
    say("速度（页/秒 CPU）", "Speed (pages per second of CPU)")
    speed = measure()
    print("  " + "  ".join(f"{name} {value:.2f}" for name, value in speed.items()))
    figures = {
        "documents": scores["all"].documents,
        "shares": {name: score.shares for name, score in scores.items()},
        "faults": scores["all"].faults,
        "broken": {"files": broken.files, "seconds": broken.seconds, "ends": broken.ends},
        "speed": speed,
    }
    if args.json:
        args.json.write_text(json.dumps(figures, ensure_ascii=False, indent=2), "utf-8")
    return 0 if meets_targets(scores["all"].shares) and broken.files == _BROKEN else 1


def score_corpus() -> dict[str, Score]:
    """Scores by format, and under `all`."""
    scores: defaultdict[str, Score] = defaultdict(Score)
    for file in tqdm(list(all_files()), desc="corpus", disable=None):
        document = process(file.name, file.data, Limits(), estimate)
        add(scores[document.format], file, document)
        add(scores["all"], file, document)
    return dict(scores)


def print_scores(scores: dict[str, Score]) -> None:
    """Shares in percent."""
    print(f"  {'':6}{'files':>6}" + "".join(f"{name:>10}" for name in _COLUMNS))
    for name, score in scores.items():
        asked = score.shares
        cells = "".join(f"{100 * asked[column]:10.2f}" if column in asked else f"{'–':>10}" for column in _COLUMNS)
        print(f"  {name:6}{score.documents:6}{cells}")


def meets_targets(shares: dict[str, float]) -> bool:
    """Whether a corpus is read as well as it has to be."""
    least = {"title": 0.95, "doc_no": 0.95, "issued": 0.95, "effective": 0.95, "articles": 0.97, "recall": 0.995}
    return all(shares[name] >= share for name, share in least.items()) and shares["noise"] <= 0.005


if __name__ == "__main__":
    run_tool(main)
