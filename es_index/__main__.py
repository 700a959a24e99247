"""`python -m es_index [DIR]`: index the text files under DIR, and say what became of them.

`--dry-run` says what would become of them, `--status` what is there; `--watch` goes on with every change. `--rebuild`
fills a new index and lets searches go to it, `--rollback` back to the one before; `--prune` and `--drop-old` show what
is not needed, and with `--yes` remove it.

Exit codes: 0 all files are indexed; 1 some could not be read (each is named), the others are indexed; 2 the run could
not begin or not go on, and the message says why; 130 interrupted. After 2 and 130 a new run makes everything good.
"""

import json
import sqlite3
import sys
import time
from collections.abc import Iterable, Sequence
from pathlib import Path
from threading import Event

from tqdm import tqdm

from es_index.options import DEFAULT_DIRECTORY, Options, parse
from es_index.plan import plan
from es_index.rebuild import rebuild
from es_index.report import Report
from es_index.run import index_directory
from es_index.status import lines, status
from es_index.upkeep import Done, drop_old, prune, rollback
from es_index.vectors import drop_vectors, make_vectors
from es_index.watch import watch
from service_kit.errors import IndexingError, YijuError
from service_kit.settings import Settings, load_settings
from service_kit.words import Words

_SECONDS_BETWEEN_LINES = 10.0
"""In a log file, where each step of the progress bar is a line."""


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    options = parse(argv)
    try:
        if (
            options.directory is not None and not options.directory.strip()
        ):  # an unset variable of a script, most likely
            raise IndexingError("没有给出目录", "No directory is given")
        return _MODES[options.mode](load_settings(), options)
    except YijuError as error:
        return _stop(error.words)
    except (OSError, sqlite3.Error) as error:
        return _stop(Words(f"无法索引：{error}", f"Can not index: {error}"))
    except KeyboardInterrupt:
        _stop(Words("已中断；重新运行即可继续", "Interrupted; run it again to go on"))
        return 130


def _index(settings: Settings, options: Options) -> int:
    began = time.monotonic()
    report = index_directory(
        settings,
        options.directory or DEFAULT_DIRECTORY,
        allow_empty=options.allow_empty,
        begin_anew=options.begin_anew,
        progress=_progress,
    )
    report.seconds = round(time.monotonic() - began, 3)
    _show(report, settings, options.json)
    _then_vectors(settings, options)
    return 1 if report.failed else 0


def _dry_run(settings: Settings, options: Options) -> int:
    began = time.monotonic()
    report = plan(
        settings,
        options.directory or DEFAULT_DIRECTORY,
        allow_empty=options.allow_empty,
        begin_anew=options.begin_anew,
        progress=_progress,
    )
    report.seconds = round(time.monotonic() - began, 3)
    _say(settings, [Words("试运行，未作任何改动", "Dry run: nothing was changed")])
    _show(report, settings, options.json)
    return 1 if report.failed else 0


def _rebuild(settings: Settings, options: Options) -> int:
    reports = rebuild(settings, options.directory, allow_empty=options.allow_empty, progress=_progress)
    for report in reports:
        _say(settings, [Words(report.directory, report.directory), *report.lines()])
    _say(settings, [Words("搜索已切换到新索引；旧索引仍保留", "Searches go to the new index; the old one is kept")])
    _write({"reports": [report.to_json() for report in reports]}, options.json)
    _then_vectors(settings, options)
    return 1 if any(report.failed for report in reports) else 0


def _status(settings: Settings, options: Options) -> int:
    facts = status(settings)
    _say(settings, lines(facts))
    _write(facts, options.json)
    return 0 if facts["trouble"] is None else 2


def _watch(settings: Settings, options: Options) -> int:
    """Until it is interrupted; it may be killed at any time."""
    first = True
    directory = options.directory or DEFAULT_DIRECTORY
    for told in watch(settings, directory, allow_empty=options.allow_empty, stop=Event()):
        if isinstance(told, YijuError):
            print(told.words.to(settings.lang), file=sys.stderr, flush=True)
        elif first or told.changed_anything:
            _show(told, settings, options.json)
            first = False
    return 0


def _drop_vectors(settings: Settings, options: Options) -> int:
    _say(settings, [drop_vectors(settings)])
    return 0


def _told(settings: Settings, options: Options, done: Done) -> int:
    _say(settings, done.lines)
    _write(done.facts, options.json)
    return 0


_MODES = {
    "index": _index,
    "dry_run": _dry_run,
    "status": _status,
    "watch": _watch,
    "rebuild": _rebuild,
    "rollback": lambda settings, options: _told(settings, options, rollback(settings)),
    "prune": lambda settings, options: _told(settings, options, prune(settings, yes=options.yes)),
    "drop_old": lambda settings, options: _told(settings, options, drop_old(settings, yes=options.yes)),
    "drop_vectors": _drop_vectors,
}


def _then_vectors(settings: Settings, options: Options) -> None:
    if options.vectors:
        _say(settings, [make_vectors(settings)])


def _show(report: Report, settings: Settings, file: Path | None) -> None:
    _say(settings, report.lines())
    _write(report.to_json(), file)


def _say(settings: Settings, lines: Iterable[Words]) -> None:
    for line in lines:
        print(line.to(settings.lang), flush=True)


def _write(facts: object, file: Path | None) -> None:
    if file:
        file.write_text(json.dumps(facts, ensure_ascii=False, indent=2), encoding="utf-8")


def _progress(files: Iterable[str]) -> Iterable[str]:
    on_terminal = sys.stderr.isatty()
    seconds = 0.1 if on_terminal else _SECONDS_BETWEEN_LINES
    return tqdm(files, desc="es_index", unit="file", mininterval=seconds, delay=0 if on_terminal else seconds)


def _stop(words: Words) -> int:
    """Both languages: the setting that chooses one may be what is wrong."""
    print(words.zh, words.en, sep="\n", file=sys.stderr)
    return 2


if __name__ == "__main__":
    sys.exit(main())
