"""`python -m es_index [DIR]`: index the text files under DIR, and say what became of them.

`--dry-run` says what would become of them, `--status` what is there; `--watch` goes on with every change.

Exit codes: 0 all files are indexed; 1 some could not be read (each is named), the others are indexed; 2 the run could
not begin or not go on, and the message says why; 130 interrupted. After 2 and 130 a new run makes everything good.
"""

import argparse
import json
import sqlite3
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from threading import Event

from tqdm import tqdm

from es_index.plan import plan, status
from es_index.report import Report
from es_index.run import index_directory
from es_index.vectors import drop_vectors, make_vectors
from es_index.watch import watch
from service_kit.errors import IndexingError, YijuError
from service_kit.settings import Settings, load_settings
from service_kit.words import Words

_SECONDS_BETWEEN_LINES = 10.0
"""In a log file, where each step of the progress bar is a line."""


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m es_index", description="索引 *.txt 段落 / index *.txt passages")
    parser.add_argument("directory", nargs="?", default="./preprocess_data", help="目录 / directory (%(default)s)")
    parser.add_argument(
        "--allow-empty",
        action="store_true",
        help="目录为空或不存在时，移除其全部段落 / when DIR is empty or gone, take its passages out",
    )
    parser.add_argument(
        "--begin-anew",
        action="store_true",
        help="清单丢失时，清空索引从头建立 / when the manifest is lost, empty the index and begin anew",
    )
    mode = parser.add_mutually_exclusive_group()
    mode.add_argument("--dry-run", action="store_true", help="只报告会有什么变化 / only say what would change")
    mode.add_argument("--status", action="store_true", help="显示索引现状 / show what the index holds")
    mode.add_argument("--watch", action="store_true", help="持续索引每次变化 / go on with every change")
    parser.add_argument("--json", type=Path, metavar="FILE", help="把报告写入文件 / write the report to this file")
    parser.add_argument(
        "--vectors",
        action="store_true",
        help="随后在前台生成向量（否则由 es_search 在后台生成） / then make the vectors, too (else es_search does)",
    )
    mode.add_argument(
        "--drop-vectors",
        action="store_true",
        help="只删除全部向量（更换向量模型前用） / only forget all vectors, before another model makes them",
    )
    args = parser.parse_args(argv)
    try:
        if not args.directory.strip():  # an unset variable of a script, most likely
            raise IndexingError("没有给出目录", "No directory is given")
        settings = load_settings()
        if args.drop_vectors:
            print(drop_vectors(settings).to(settings.lang))
            return 0
        if args.status:
            return _show_status(settings, args.json)
        if args.watch:
            return _watch(settings, args)
        began = time.monotonic()
        if args.dry_run:
            report = plan(
                settings,
                args.directory,
                allow_empty=args.allow_empty,
                begin_anew=args.begin_anew,
                progress=_progress,
            )
            print(Words("试运行，未作任何改动", "Dry run: nothing was changed").to(settings.lang))
        else:
            report = index_directory(
                settings,
                args.directory,
                allow_empty=args.allow_empty,
                begin_anew=args.begin_anew,
                progress=_progress,
            )
        report.seconds = round(time.monotonic() - began, 3)
        _show(report, settings, args.json)
        if args.vectors and not args.dry_run:
            print(make_vectors(settings).to(settings.lang), flush=True)
    except YijuError as error:
        return _stop(error.words)
    except (OSError, sqlite3.Error) as error:
        return _stop(Words(f"无法索引：{error}", f"Can not index: {error}"))
    except KeyboardInterrupt:
        _stop(Words("已中断；重新运行即可继续", "Interrupted; run it again to go on"))
        return 130
    return 1 if report.failed else 0


def _show(report: Report, settings: Settings, file: Path | None) -> None:
    for line in report.lines():
        print(line.to(settings.lang), flush=True)
    _write(report.to_json(), file)


def _write(facts: object, file: Path | None) -> None:
    if file:
        file.write_text(json.dumps(facts, ensure_ascii=False, indent=2), encoding="utf-8")


def _show_status(settings: Settings, file: Path | None) -> int:
    facts = status(settings)
    if facts["trouble"]:
        print(facts["trouble"][settings.lang])
    else:
        words = Words("索引共有 {} 个段落，引擎 {}", "The index holds {} passages, engine {}")
        print(words.to(settings.lang).format(facts["passages"], facts["engine"]))
    for directory, files in facts["directories"].items():
        print(f"{files:>9}  {directory}")
    if facts["known_passages"] is None and facts["passages"]:
        words = Words(
            "记录段落来源的清单（manifest.sqlite）已丢失",
            "The manifest of where passages come from (manifest.sqlite) is lost",
        )
        print(words.to(settings.lang))
    elif facts["unsettled"] or facts["passages"] not in (None, facts["known_passages"]):
        words = Words(
            "清单记有 {} 个段落，{} 个待处理；请再运行一次 es_index",
            "The manifest knows {} passages, {} of them unsettled; run es_index again",
        )
        print(words.to(settings.lang).format(facts["known_passages"], facts["unsettled"]))
    _write(facts, file)
    return 0 if facts["trouble"] is None else 2


def _watch(settings: Settings, args: argparse.Namespace) -> int:
    """Until it is interrupted; it may be killed at any time."""
    first = True
    for told in watch(settings, args.directory, allow_empty=args.allow_empty, stop=Event()):
        if isinstance(told, YijuError):
            print(told.words.to(settings.lang), file=sys.stderr, flush=True)
        elif first or told.changed_anything:
            _show(told, settings, args.json)
            first = False
    return 0


def _progress(files: Iterable[Path]) -> Iterable[Path]:
    on_terminal = sys.stderr.isatty()
    seconds = 0.1 if on_terminal else _SECONDS_BETWEEN_LINES
    return tqdm(files, desc="es_index", unit="file", mininterval=seconds, delay=0 if on_terminal else seconds)


def _stop(words: Words) -> int:
    """Both languages: the setting that chooses one may be what is wrong."""
    print(words.zh, words.en, sep="\n", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
