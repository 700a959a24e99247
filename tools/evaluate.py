"""Measures the answers of rag_server: `python -m tools.evaluate [--only NAME] [--bench DIR] --json FILE`.

Each measurement is a module of tools.evaluation with `run(bench) -> Table`. `bench` is a folder with the files of
shared/retrieval_bench, or None where there is none: a measurement then uses what is in this repository and says so.
"""

import argparse
import importlib
import json
from collections.abc import Sequence
from dataclasses import asdict
from pathlib import Path

from tools.console import run_tool
from tools.evaluation.table import Table, render

MEASUREMENTS = ("followups", "extraction", "unverifiable", "paraphrases", "answerability", "injection", "sessions")
BENCH = Path(__file__).resolve().parents[1].parent / "shared" / "retrieval_bench"


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code: 1 when a bar was missed."""
    parser = argparse.ArgumentParser(prog="python -m tools.evaluate", description=__doc__.splitlines()[0])
    parser.add_argument("--only", choices=MEASUREMENTS, action="append", help="this one; may be given several times")
    parser.add_argument("--bench", type=Path, default=BENCH, help="folder with cmrc.* and law.* (default: %(default)s)")
    parser.add_argument("--index", type=Path, metavar="DIR", help="followups keeps its index with its vectors here")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file")
    args = parser.parse_args(argv)
    bench = args.bench if args.bench.is_dir() else None
    tables: dict[str, Table] = {}
    for name in args.only or MEASUREMENTS:
        measure = importlib.import_module(f"tools.evaluation.{name}").run
        tables[name] = measure(bench, args.index) if name == "followups" else measure(bench)
        print(render(tables[name]), end="\n\n", flush=True)
    if args.json:
        content = {name: asdict(table) for name, table in tables.items()}
        args.json.write_text(json.dumps(content, ensure_ascii=False, indent=2), encoding="utf-8")
    return 1 if any(table.missed for table in tables.values()) else 0


if __name__ == "__main__":
    run_tool(main)
