"""`python -m tools.preprocess IN_DIR OUT_DIR`: documents in, one text file a passage out, for es_index.

Reads docx, pdf, html, md, xlsx, csv and txt in any Chinese encoding; doc, wps, rtf, odt, xls, et and ods through
LibreOffice. OUT_DIR also gets report.html and report.json. Only what changed is read again.

Exit codes: 0 all files are read; 1 some could not be read (each is named) or the run could not begin; 130 interrupted,
and a new run goes on.
"""

import argparse
import json
import os
import sys
from collections.abc import Iterable
from pathlib import Path

from tqdm import tqdm

from service_kit.errors import InvalidRequest
from service_kit.settings import load_settings
from tools.console import run_tool, speaker
from tools.preprocess import report as reports
from tools.preprocess.passages import Limits
from tools.preprocess.pool import Done, Options
from tools.preprocess.run import preprocess
from tools.preprocess.tokens import counter

_SECONDS_BETWEEN_LINES = 10.0
"""In a log file, where each step of the progress bar is a line."""
_LEAST_HARD = 100


def main() -> int:
    """Returns the exit code."""
    args = _parser().parse_args()
    if not 0 < args.target <= args.limit or args.limit < _LEAST_HARD:
        raise InvalidRequest(
            f"应有 0 < --target ≤ --limit，且 --limit ≥ {_LEAST_HARD}",
            f"It must be 0 < --target <= --limit and --limit >= {_LEAST_HARD}",
        )
    settings = load_settings()
    options = Options(Limits(args.target, args.limit), args.tokenizer, args.timeout, args.memory_mb, args.largest_mb)
    counter(args.tokenizer)  # so that a wrong name is said at once, and not once a worker
    report = preprocess(
        args.source, args.output, options, workers=max(args.jobs, 1), allow_empty=args.allow_empty, progress=_progress
    )
    facts = json.dumps(reports.to_json(report), ensure_ascii=False, indent=2)
    args.output.joinpath("report.html").write_text(reports.page(report, settings.lang), "utf-8", "replace")
    for path in {args.output / "report.json", args.json or args.output / "report.json"}:
        path.write_text(facts, "utf-8", "replace")
    say = speaker(settings)
    for line in reports.lines(report):
        say(*line)
    say(f"报告：{args.output / 'report.html'}", f"Report: {args.output / 'report.html'}")
    return 1 if report.failed else 0


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.preprocess", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("source", type=Path, metavar="IN_DIR", help="文档目录 / folder of documents")
    parser.add_argument("output", type=Path, metavar="OUT_DIR", help="段落目录 / folder for the passages")
    parser.add_argument("--json", type=Path, metavar="FILE", help="把报告也写入 FILE / write the report to FILE too")
    parser.add_argument("--target", type=int, default=300, help="段落目标 token 数 / tokens aimed at (%(default)s)")
    parser.add_argument("--limit", type=int, default=1000, help="段落上限 token 数 / tokens at most (%(default)s)")
    parser.add_argument(
        "--tokenizer", metavar="MODEL", help="用模型的分词器计数，否则估算 / count by this model's tokenizer"
    )
    parser.add_argument(
        "--jobs", type=int, default=min(os.cpu_count() or 1, 8), help="并行进程数 / worker processes (%(default)s)"
    )
    parser.add_argument("--timeout", type=float, default=120.0, help="单个文件秒数 / seconds a file (%(default)s)")
    parser.add_argument("--memory-mb", type=int, default=2048, help="单个文件内存 / memory a file (%(default)s)")
    parser.add_argument("--largest-mb", type=int, default=200, help="文件大小上限 / largest file (%(default)s)")
    parser.add_argument(
        "--allow-empty", action="store_true", help="输入为空时移除全部段落 / when IN_DIR is empty, remove all passages"
    )
    return parser


def _progress(done: Iterable[Done], total: int) -> Iterable[Done]:
    on_terminal = sys.stderr.isatty()
    seconds = 0.1 if on_terminal else _SECONDS_BETWEEN_LINES
    return tqdm(
        done, total=total, desc="preprocess", unit="file", mininterval=seconds, delay=0 if on_terminal else seconds
    )


if __name__ == "__main__":
    run_tool(main)
