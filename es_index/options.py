"""The command line of `python -m es_index`."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

DEFAULT_DIRECTORY = "./preprocess_data"

_MODES = {
    "dry_run": "只报告会有什么变化 / only say what would change",
    "status": "显示索引现状 / show what the index holds",
    "watch": "持续索引每次变化 / go on with every change",
    "rebuild": "另建新索引，建成后切换搜索（Elasticsearch） / fill a new index, then search it (Elasticsearch)",
    "rollback": "退回上一个索引 / search the previous index again",
    "prune": "列出清单不知道的段落 / show passages that no manifest knows",
    "drop_old": "列出不再搜索的旧索引 / show old indices that are not searched",
    "drop_vectors": "只删除全部向量（更换向量模型前用） / only forget all vectors, before another model makes them",
}


@dataclass(frozen=True)
class Options:
    """`mode`: `index` or a key of `_MODES`; `directory` is None when the command line names none."""

    mode: str
    directory: str | None
    allow_empty: bool
    begin_anew: bool
    yes: bool
    vectors: bool
    json: Path | None


def parse(argv: Sequence[str] | None) -> Options:
    """Ends the process with 2 on a command line that makes no sense, as argparse does."""
    parser = argparse.ArgumentParser(prog="python -m es_index", description="索引 *.txt 段落 / index *.txt passages")
    parser.add_argument("directory", nargs="?", help=f"目录 / directory ({DEFAULT_DIRECTORY})")
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
    modes = parser.add_mutually_exclusive_group()
    for name, text in _MODES.items():
        option = f"--{name.replace('_', '-')}"
        modes.add_argument(option, dest="mode", action="store_const", const=name, help=text)
    parser.add_argument(
        "--yes", action="store_true", help="与 --prune、--drop-old 合用：移除 / with --prune, --drop-old: remove"
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="把报告写入文件 / write the report to this file")
    parser.add_argument(
        "--vectors",
        action="store_true",
        help="随后在前台生成向量（否则由 es_search 在后台生成） / then make the vectors, too (else es_search does)",
    )
    args = parser.parse_args(argv)
    mode = args.mode or "index"
    if args.yes and mode not in ("prune", "drop_old"):
        parser.error("--yes 只与 --prune、--drop-old 合用 / --yes goes with --prune or --drop-old only")
    return Options(mode, args.directory, args.allow_empty, args.begin_anew, args.yes, args.vectors, args.json)
