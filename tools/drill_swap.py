"""Whether searches notice a rebuild: `python -m tools.drill_swap [--seconds 60] --json FILE`.

Files are indexed into the Elasticsearch of the settings, under a name of their own. Clients search without a pause
while the index is rebuilt and rolled back in turn; each swap of the alias is one chance for an error or an empty
result.
"""

import argparse
import json
import tempfile
import threading
import time
from collections.abc import Sequence
from contextlib import closing
from dataclasses import asdict, dataclass
from itertools import cycle
from pathlib import Path

from es_index.rebuild import rebuild
from es_index.run import index_directory
from es_index.upkeep import drop_old, rollback
from service_kit.errors import YijuError
from service_kit.passages import open_reader
from service_kit.settings import Settings, load_settings
from tools.console import run_tool
from tools.retrieval_set import temporary_index

CLIENTS = 4
TOPICS = ("专项债务", "一般债务", "预算调整", "转移支付", "国库集中收付", "政府采购")
VERBS = ("应当如何偿还", "由谁负责批准", "何时向社会公开", "怎样进行审计监督")


@dataclass
class Count:
    """What was seen. `first_error`: of those counted in `errors`."""

    searches: int = 0
    errors: int = 0
    empty: int = 0
    swaps: int = 0
    first_error: str | None = None


def drill(settings: Settings, directory: Path, questions: Sequence[str], seconds: float) -> Count:
    """Search the index, which exists, while it is rebuilt from `directory` and rolled back. Every question must have an
    answer in it."""
    total, lock, stop = Count(), threading.Lock(), threading.Event()

    def search(first: int) -> None:
        count = Count()
        with closing(open_reader(settings)) as reader:
            for at in cycle(range(len(questions))):
                if stop.is_set():
                    break
                count.searches += 1
                try:
                    count.empty += not reader.search(questions[(first + at) % len(questions)], 2).hits
                except YijuError as error:
                    count.errors += 1
                    count.first_error = count.first_error or str(error)
        with lock:
            total.searches += count.searches
            total.errors += count.errors
            total.empty += count.empty
            total.first_error = total.first_error or count.first_error

    threads = [threading.Thread(target=search, args=(client,)) for client in range(CLIENTS)]
    for thread in threads:
        thread.start()
    end = time.monotonic() + seconds
    try:
        while time.monotonic() < end:
            rebuild(settings, str(directory))
            rollback(settings)
            total.swaps += 2
            drop_old(settings, yes=True)
    finally:
        stop.set()
        for thread in threads:
            thread.join()
    return total


def write_files(directory: Path, number: int) -> None:
    """So many files; each holds the words of some question."""
    for at in range(number):
        topic, verb = TOPICS[at % len(TOPICS)], VERBS[at // len(TOPICS) % len(VERBS)]
        (directory / f"{at:06}.txt").write_text(f"{topic}\n第{at}条　{topic}{verb}，另行规定。\n", "utf-8")


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.drill_swap", description=__doc__.splitlines()[0])
    parser.add_argument("--seconds", type=float, default=60.0)
    parser.add_argument("--count", type=int, default=2000, help="files (%(default)s)")
    parser.add_argument("--analysis", choices=["ik", "client"], help="instead of YIJU_ES_ANALYSIS")
    parser.add_argument("--json", type=Path, metavar="FILE", help="把结果写入 FILE / write the figures")
    args = parser.parse_args()
    settings = load_settings(search="elasticsearch", **({"es_analysis": args.analysis} if args.analysis else {}))
    with tempfile.TemporaryDirectory() as place, temporary_index(settings) as settings:
        write_files(Path(place), args.count)
        index_directory(settings, place)
        count = drill(settings, Path(place), [topic + verb for topic in TOPICS for verb in VERBS], args.seconds)
    print(f"{count.searches} searches by {CLIENTS} clients, {count.swaps} swaps of the alias in {args.seconds:.0f} s")
    print(f"{count.errors} errors, {count.empty} empty results" + f"; {count.first_error}" * (count.errors > 0))
    if args.json:
        args.json.write_text(json.dumps(asdict(count) | {"seconds": args.seconds, "files": args.count}, indent=2))
    return 0 if count.swaps > 1 and count.searches and not (count.errors or count.empty) else 1


if __name__ == "__main__":
    run_tool(main)
