"""`python -m tools.bench_load_test [--json FILE]`: about five minutes.

Other programs on the machine make queues longer; beside them run it as `chrt -f 10 python -m tools.bench_load_test`.
Exit code 0 when all proofs hold.
"""

import argparse
import json
import os
from collections.abc import Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from service_kit.settings import load_settings
from tools.bench_load_test.proofs import Proof, prove_capacity, prove_comparison, prove_percentiles, prove_queueing
from tools.console import run_tool


def main(argv: Sequence[str] | None = None) -> int:
    settings = load_settings()
    proofs: dict[str, Callable[[], Proof]] = {
        "percentiles": lambda: prove_percentiles(settings),
        "queueing": lambda: prove_queueing(settings),
        "capacity": lambda: prove_capacity(settings),
        "comparison": prove_comparison,
    }
    parser = argparse.ArgumentParser(prog="python -m tools.bench_load_test", description=__doc__)
    parser.add_argument("--only", choices=proofs, action="append", help="只做这一项 / this one only")
    parser.add_argument("--json", type=Path, metavar="FILE", help="把结果写入 FILE / write the figures to FILE")
    args = parser.parse_args(argv)
    found = []
    for name in args.only or proofs:
        proof = proofs[name]()
        found.append(proof)
        _print(proof)
    if args.json:
        document = {"load_average": os.getloadavg(), "proofs": [asdict(proof) for proof in found]}
        args.json.write_text(json.dumps(document, indent=1), "utf-8")
    return 0 if all(proof.passed for proof in found) else 1


def _print(proof: Proof) -> None:
    print(f"\n{proof.name}: {'通过 / passed' if proof.passed else '未通过 / FAILED'}")
    for what, expected, measured, error in proof.rows:
        print(f"  {what:<52} {expected:>10.4f} {measured:>10.4f}" + ("" if error is None else f"  {error:+.1%}"))
    for name, value in proof.notes.items():
        print(f"    {name}: {value:.4g}")


if __name__ == "__main__":
    run_tool(main)
