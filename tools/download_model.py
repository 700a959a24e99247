"""Downloads a model's files: `python -m tools.download_model OWNER/NAME [--source hf|modelscope|URL] [--to DIR]`.

Goes on where it was interrupted, checks the disk's space first and each file's size and hash at the end, and prints the
folder for `YIJU_MODEL`. Code files are left out: they are never run. `--safetensors` converts pickled weights, which
are read as weights only.
"""

import argparse
from collections.abc import Sequence
from pathlib import Path

import requests

from service_kit.errors import InvalidRequest, NotFound
from service_kit.settings import load_settings
from tools.console import Say, run_tool, speaker
from tools.downloading import RemoteFile, fetch, gib, require_space
from tools.hubs import choose_hub

UNWANTED = (".py", ".md", ".pdf", ".png", ".jpg", ".jpeg", ".gif", ".gitattributes", ".gitignore")
PICKLED, SAFE = (".bin",), (".safetensors",)


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.download_model", description=__doc__)
    parser.add_argument("repo", metavar="OWNER/NAME", help="baichuan-inc/Baichuan2-13B-Chat")
    parser.add_argument(
        "--source", default="hf", help="hf、modelscope 或镜像地址 / or a mirror's address (%(default)s)"
    )
    parser.add_argument("--to", type=Path, metavar="DIR", help="存放位置 / where to (models/NAME)")
    parser.add_argument("--safetensors", action="store_true", help="转换 .bin 权重 / convert weights that are .bin")
    args = parser.parse_args(argv)
    say = speaker(load_settings())
    if args.repo.count("/") != 1:
        raise InvalidRequest(f"{args.repo}：应为 所有者/名称", f"{args.repo}: must be OWNER/NAME")
    folder = (args.to or Path("models") / args.repo.split("/")[1]).resolve()
    download(args.repo, args.source, folder, say)
    if args.safetensors:
        convert(folder, say)
    say(f"完成。使用：YIJU_MODEL={folder}", f"Done. To use it: YIJU_MODEL={folder}")
    return 0


def download(repo: str, source: str, folder: Path, say: Say) -> None:
    """All files of `repo` that a model needs. Raises DownloadFailed, NotFound, InvalidRequest."""
    folder.mkdir(parents=True, exist_ok=True)
    with requests.Session() as session:
        files = wanted(choose_hub(source).files(session, repo))
        if not files:
            raise NotFound(f"{repo} 里没有模型文件", f"There are no model files in {repo}")
        total = sum(file.size for file in files)
        say(f"{repo}：{len(files)} 个文件，共 {gib(total)}", f"{repo}: {len(files)} files, {gib(total)}")
        require_space(files, folder)
        new = sum(fetch(session, file, folder) for file in files)
    say(f"已核对全部大小和校验和，新下载 {new} 个文件", f"All sizes and hashes are right; {new} files are new")


def wanted(files: Sequence[RemoteFile]) -> list[RemoteFile]:
    """The small ones first; of weights that come in both forms, the safetensors."""
    kept = [file for file in files if not file.path.lower().endswith(UNWANTED)]
    if any(file.path.endswith(SAFE) for file in kept):
        kept = [file for file in kept if not file.path.endswith((*PICKLED, ".bin.index.json"))]
    return sorted(kept, key=lambda file: file.size)


def convert(folder: Path, say: Say) -> None:
    """As safe_weights.convert_folder; also raises InvalidRequest, with the way to get it, where torch is missing."""
    try:
        from tools.safe_weights import convert_folder, report  # noqa: PLC0415  # needs torch
    except ImportError:
        raise InvalidRequest(
            "转换需要 torch：.venv/bin/uv pip install -r pyproject.toml --extra llm",
            "Converting needs torch: .venv/bin/uv pip install -r pyproject.toml --extra llm",
        ) from None
    report(convert_folder(folder), say)


if __name__ == "__main__":
    run_tool(main)
