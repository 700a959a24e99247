"""Measures indexing into Elasticsearch, against the tutorial's script: `python -m tools.bench_index`.

Both read the same text files (passages of PASSAGES.jsonl over and over, each file another one) and write them into the
same server, the one of the settings. A: the tutorial's way, all files into a list, then `helpers.bulk`; its one field
cut by ik_max_word. B: es_index's pipeline, with that same one field, and es_index whole, manifest and all, with each
analysis. A ends, as B does, when everything can be searched. In each round every form runs once, the first one another
in each; the median of the ratios within a round counts.
"""

import argparse
import json
import statistics
import tempfile
import time
import uuid
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any

from elasticsearch import Elasticsearch, helpers

from es_index.run import index_directory
from es_index.scan import list_files, read_passage
from service_kit.passages import Passage
from service_kit.passages.elastic_bulk import Await, Bulk
from service_kit.passages.elastic_connection import connect
from service_kit.passages.elastic_encoding import storing
from service_kit.passages.elastic_mapping import AT_REST, WHILE_FILLED
from service_kit.settings import Settings, load_settings
from tools.console import run_tool
from tools.retrieval_set import read_lines, temporary_index

ONE_FIELD = {"properties": {"content": {"type": "text", "analyzer": "ik_max_word"}}}
"""The tutorial's mapping."""
TUTORIAL = "tutorial"
WARM_UP = 2
"""Rounds that do not count: a server just started compiles its code while it works, for some hundred thousand
documents."""


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.bench_index", description=__doc__.splitlines()[0])
    parser.add_argument("passages", type=Path, metavar="PASSAGES.jsonl[.xz]")
    parser.add_argument("--count", type=int, default=20_000, help="files (%(default)s)")
    parser.add_argument("--rounds", type=int, default=5, help="runs of each form that count (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="write the figures to this file")
    args = parser.parse_args(argv)
    with tempfile.TemporaryDirectory() as place:
        files = Path(place, "files")
        write_files(files, args.passages, args.count)
        measure(files, args.count, WARM_UP)
        rates = measure(files, args.count, args.rounds)
    figures = summarise(rates)
    print_table(figures)
    if args.json:
        facts = {"files": args.count, "rounds": args.rounds}
        args.json.write_text(json.dumps({**facts, "forms": figures}, indent=2))
    return 0


def write_files(directory: Path, passages: Path, number: int) -> None:
    """So many files, no two alike."""
    directory.mkdir()
    for at, line in enumerate(islice(_over_and_over(passages), number)):
        (directory / f"{at:06}.txt").write_text(f"{line['title']}\n{line['text']}\n[{at}]\n", encoding="utf-8")


def measure(files: Path, number: int, rounds: int) -> dict[str, list[float]]:
    """Documents a second by form, one value a round."""
    forms: Mapping[str, Callable[[Path], None]] = {
        TUTORIAL: tutorial,
        "one_field": one_field,
        "ik": lambda directory: whole(directory, "ik"),
        "client": lambda directory: whole(directory, "client"),
    }
    rates: dict[str, list[float]] = {name: [] for name in forms}
    names = list(forms)
    for turn in range(rounds):
        first = turn % len(names)
        for name in names[first:] + names[:first]:
            began = time.perf_counter()
            forms[name](files)
            rates[name].append(number / (time.perf_counter() - began))
    return rates


def tutorial(files: Path) -> None:
    """As the tutorial's script does it."""
    settings = load_settings()
    with one_field_index(settings) as (client, name):
        contents = [path.read_text("utf-8") for path in files.iterdir() if path.name.endswith(".txt")]
        actions = ({"_index": name, "_id": at, "_source": {"content": text}} for at, text in enumerate(contents))
        helpers.bulk(client, actions)
        client.indices.refresh(index=name)


def one_field(files: Path) -> None:
    """The pipeline of es_index (files, passages, operations, bulks) with the tutorial's mapping."""
    settings = load_settings()
    with one_field_index(settings, WHILE_FILLED) as (client, name):
        with closing(Bulk(client, name, _contents)) as bulk:
            for file in list_files(files).files:
                passage = read_passage(files, file)
                bulk.add(passage.id, passage, 3 * len(passage.text))
            refused = bulk.finish()
        client.indices.refresh(index=name)
        client.indices.put_settings(index=name, settings={"index": AT_REST})
        client.indices.flush(index=name)
    if refused:
        raise OSError(f"{len(refused)} passages were refused")


def whole(files: Path, form: str) -> None:
    """`python -m es_index`."""
    with temporary_index(load_settings(search="elasticsearch", es_analysis=form)) as settings:
        report = index_directory(settings, str(files))
        if report.failed:
            raise OSError(f"{len(report.failed)} files failed, such as {report.failed[0]}")


@contextmanager
def one_field_index(settings: Settings, eased: Mapping[str, Any] | None = None) -> Iterator[tuple[Elasticsearch, str]]:
    """A client as the tutorial makes it, and an index that is gone afterwards. `eased`: settings while it is filled."""
    name = f"yiju-tool-{uuid.uuid4().hex[:12]}"
    with closing(connect(settings).options(request_timeout=60)) as client:
        client.indices.create(index=name, settings={"number_of_replicas": 0, **(eased or {})}, mappings=ONE_FIELD)
        try:
            yield client, name
        finally:
            client.indices.delete(index=name)


def summarise(rates: Mapping[str, Sequence[float]]) -> dict[str, Any]:
    """By form the median of its documents a second, and the median over the rounds of its ratio to the tutorial's."""
    return {
        name: {
            "docs_per_s": round(statistics.median(values), 1),
            "ratio": round(statistics.median(b / a for b, a in zip(values, rates[TUTORIAL], strict=True)), 3),
        }
        for name, values in rates.items()
    }


def print_table(figures: Mapping[str, Mapping[str, float]]) -> None:
    """One line a form."""
    print(f"{'form':>10} {'docs/s':>8} {'ratio':>6}")
    for name, values in figures.items():
        print(f"{name:>10} {values['docs_per_s']:8.0f} {values['ratio']:6.2f}")


def _contents(passages: Sequence[Passage]) -> Await:
    operations = [storing(one, {"content": one.content}) for one in passages]
    return lambda: operations


def _over_and_over(passages: Path) -> Iterator[dict[str, Any]]:
    while True:
        yield from read_lines(passages)


if __name__ == "__main__":
    run_tool(main)
