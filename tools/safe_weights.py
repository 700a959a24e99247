"""Pickled weights (`pytorch_model*.bin`) become safetensors: `python -m tools.safe_weights DIR`.

One file for one file; the pickles stay. They are read as weights only: no code in them is run. Imports torch.
"""

import argparse
import json
from collections.abc import Sequence
from pathlib import Path

import torch
from safetensors.torch import save_file

from service_kit.errors import InvalidRequest
from service_kit.settings import load_settings
from tools.console import Say, run_tool, speaker

INDEX = "pytorch_model.bin.index.json"


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(prog="python -m tools.safe_weights", description=__doc__)
    parser.add_argument("folder", type=Path, metavar="DIR", help="模型文件夹 / the model's folder")
    report(convert_folder(parser.parse_args(argv).folder), speaker(load_settings()))
    return 0


def report(made: int, say: Say) -> None:
    """Say how many files were converted."""
    if made:
        say(f"已转换 {made} 个权重文件；.bin 文件可以删除", f"{made} files converted; the .bin files may be deleted")
    else:
        say("没有 .bin 权重", "No weights are .bin")


def convert_folder(folder: Path) -> int:
    """Convert all that is there; returns how many files were made. A file that is there already is made anew.

    Raises:
        InvalidRequest: a file holds more than weights; nothing in it was run.
    """
    pickled = sorted(folder.glob("pytorch_model*.bin"))
    for path in pickled:
        _convert(path)
    index = folder / INDEX
    if pickled and index.is_file():
        content = json.loads(index.read_text("utf-8"))
        content["weight_map"] = {name: _safe_name(file) for name, file in content["weight_map"].items()}
        _replace(folder / _safe_name(INDEX), json.dumps(content, indent=2).encode())
    return len(pickled)


def _convert(path: Path) -> None:
    try:
        weights = torch.load(path, map_location="cpu", weights_only=True, mmap=True)
    except Exception as error:  # torch's own exceptions for this differ from file to file
        raise InvalidRequest(
            f"{path.name} 不只是权重，或已损坏：没有执行其中任何内容",
            f"{path.name} holds more than weights, or is damaged: nothing in it was run",
        ) from error
    target = path.with_name(_safe_name(path.name))
    part = target.with_name(target.name + ".part")
    # Each tensor on its own: two that share memory can not be saved.
    save_file({name: weight.contiguous().clone() for name, weight in weights.items()}, part, {"format": "pt"})
    part.replace(target)


def _safe_name(name: str) -> str:
    return name.replace("pytorch_model", "model", 1).replace(".bin", ".safetensors", 1)


def _replace(path: Path, content: bytes) -> None:
    part = path.with_name(path.name + ".part")
    part.write_bytes(content)
    part.replace(path)


if __name__ == "__main__":
    run_tool(main)
