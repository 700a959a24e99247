"""`python -m es_index [DIR]`: index the text files under DIR, and say what became of them.

Exit codes: 0 all files are indexed; 1 some could not be read (each is named), the others are indexed; 2 the run could
not begin or not go on, and the message says why; 130 interrupted. After 2 and 130 a new run makes everything good.
"""

import argparse
import json
import sqlite3
import sys
from collections.abc import Iterable, Sequence
from pathlib import Path

from tqdm import tqdm

from es_index.run import index_directory
from es_index.vectors import drop_vectors, make_vectors
from service_kit.errors import IndexingError, YijuError
from service_kit.settings import load_settings
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
    parser.add_argument("--json", type=Path, metavar="FILE", help="把报告写入文件 / write the report to this file")
    parser.add_argument(
        "--vectors",
        action="store_true",
        help="随后在前台生成向量（否则由 es_search 在后台生成） / then make the vectors, too (else es_search does)",
    )
    parser.add_argument(
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
        report = index_directory(settings, args.directory, allow_empty=args.allow_empty, progress=_progress)
        for line in report.lines():
            print(line.to(settings.lang))
        if args.vectors:
            print(make_vectors(settings).to(settings.lang), flush=True)
        if args.json:
            args.json.write_text(json.dumps(report.to_json(), ensure_ascii=False, indent=2), encoding="utf-8")
    except YijuError as error:
        return _stop(error.words)
    except (OSError, sqlite3.Error) as error:
        return _stop(Words(f"无法索引：{error}", f"Can not index: {error}"))
    except KeyboardInterrupt:
        _stop(Words("已中断；重新运行即可继续", "Interrupted; run it again to go on"))
        return 130
    return 1 if report.failed else 0


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
