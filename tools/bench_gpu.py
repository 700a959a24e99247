"""Measures a full-size Baichuan2-13B with random weights on the GPU: `python -m tools.bench_gpu [--json FILE]`.

For each precision: memory after loading, prompt tokens and new tokens a second, and the tutorial's table: the average
latency of 1, 3, 5 and 10 clients that ask at once, and its ratio to that of 1. The clients' prompts are one batch in
this process; no service and no network is in these figures. Nothing is downloaded.

Without a GPU it says so and measures nothing (exit code 2); `--reduced` runs a model of two small layers anywhere.
"""

import argparse
import importlib.util
import json
import platform
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from service_kit.errors import InvalidRequest
from service_kit.settings import load_settings
from tools.console import Say, run_tool, speaker

CLIENTS = (1, 3, 5, 10)
PRECISIONS = ("fp16", "8bit")
GOAL = 1.3
"""Latency of 10 clients against that of 1, at most."""
NOTHING_DONE = 2


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    parser = argparse.ArgumentParser(
        prog="python -m tools.bench_gpu", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--json", type=Path, metavar="FILE", help="把结果写入 FILE / write the figures to FILE")
    parser.add_argument("--reduced", action="store_true", help="两层小模型，任何机器 / two small layers, anywhere")
    parser.add_argument("--precision", default=",".join(PRECISIONS), help="fp32,fp16,bf16,8bit,4bit (%(default)s)")
    parser.add_argument("--prompt-tokens", type=int, default=512, help="%(default)s")
    parser.add_argument("--new-tokens", type=int, default=128, help="%(default)s")
    parser.add_argument("--rounds", type=int, default=2, help="取最快的一轮 / the quickest counts (%(default)s)")
    args = parser.parse_args(argv)
    precisions = args.precision.split(",")
    if not set(precisions) <= {"fp32", "fp16", "bf16", "8bit", "4bit"}:
        raise InvalidRequest(f"--precision {args.precision}", f"--precision {args.precision}", allowed=PRECISIONS)
    if min(args.prompt_tokens, args.rounds) < 1 or args.new_tokens < 2:
        raise InvalidRequest(
            "--prompt-tokens、--rounds 至少为 1，--new-tokens 至少为 2",
            "--prompt-tokens and --rounds must be at least 1, --new-tokens at least 2",
        )
    say = speaker(load_settings())
    device = find_device()
    if device is None or (device == "cpu" and not args.reduced):
        say(
            "这里没有 GPU（或没有 torch）：没有测量任何东西。加 --reduced 可在 CPU 上运行小模型",
            "No GPU here (or no torch): nothing was measured. --reduced runs a small model on the CPU",
        )
        return NOTHING_DONE
    result = machine(device) | {"reduced": args.reduced, "runs": []}
    say(f"设备：{result['device']}", f"Device: {result['device']}")
    for precision in precisions:
        run = measure(precision, device, args)
        result["runs"].append(run)
        show(run, say, reduced=args.reduced)
    if args.json:
        args.json.write_text(json.dumps(result, ensure_ascii=False, indent=2), "utf-8")
    return 0


def find_device() -> str | None:
    """`cuda`, `cpu`, or None without torch."""
    if importlib.util.find_spec("torch") is None:
        return None
    import torch  # noqa: PLC0415

    return "cuda" if torch.cuda.is_available() else "cpu"


def machine(device: str) -> dict[str, Any]:
    """What the figures were measured on."""
    import torch  # noqa: PLC0415
    import transformers  # noqa: PLC0415

    name = torch.cuda.get_device_name() if device == "cuda" else f"CPU ({platform.machine()})"
    return {"device": name, "torch": torch.__version__, "transformers": transformers.__version__}


def measure(precision: str, device: str, args: argparse.Namespace) -> dict[str, Any]:
    """One precision's figures: seconds, GiB, tokens a second. The model is gone from memory afterwards."""
    import torch  # noqa: PLC0415

    from tools.model_timing import best_of  # noqa: PLC0415
    from tools.random_model import FULL, REDUCED, make_random_model  # noqa: PLC0415

    model = make_random_model(REDUCED if args.reduced else FULL, precision, device)
    loaded = torch.cuda.memory_allocated() if device == "cuda" else sum(p.nbytes for p in model.parameters())
    if device == "cuda":
        torch.cuda.reset_peak_memory_stats()
    runs = best_of(model, CLIENTS, args.prompt_tokens, args.new_tokens, args.rounds)
    del model
    peak = None
    if device == "cuda":
        peak = round(torch.cuda.max_memory_allocated() / 2**30, 2)
        torch.cuda.empty_cache()
    return {
        "precision": precision,
        "loaded_gib": round(loaded / 2**30, 3),
        "peak_gib": peak,
        "prompt_tokens": args.prompt_tokens,
        "new_tokens": args.new_tokens,
        "clients": [
            {
                "clients": run.clients,
                "latency_s": round(run.total_s, 4),
                "ratio": round(run.total_s / runs[0].total_s, 3),
                "prefill_tokens_per_s": round(run.prefill_per_s, 1),
                "decode_tokens_per_s": round(run.decode_per_s, 1),
            }
            for run in runs
        ],
    }


def show(run: dict[str, Any], say: Say, *, reduced: bool) -> None:
    """The tutorial's table and, for the full size, whether the goal is met."""
    peak = "" if run["peak_gib"] is None else f" / {run['peak_gib']}"
    say(
        f"\n{run['precision']}：加载后 / 峰值显存 {run['loaded_gib']}{peak} GiB，"
        f"提示 {run['prompt_tokens']} 词元，回答 {run['new_tokens']} 词元",
        f"\n{run['precision']}: memory after loading / at most {run['loaded_gib']}{peak} GiB, "
        f"prompts of {run['prompt_tokens']} tokens, answers of {run['new_tokens']}",
    )
    say(
        "并发数  平均耗时/s  相对1并发  提示词元/s  生成词元/s",
        "clients  latency/s  ratio to 1  prompt tokens/s  new tokens/s",
    )
    for row in run["clients"]:
        print(
            f"{row['clients']:>7}  {row['latency_s']:>9.2f}  {row['ratio']:>10.2f}  "
            f"{row['prefill_tokens_per_s']:>15.0f}  {row['decode_tokens_per_s']:>12.0f}"
        )
    if reduced:
        return  # how two tiny layers share a CPU says nothing about the goal
    ratio = run["clients"][-1]["ratio"]
    met = ratio <= GOAL
    say(
        f"{CLIENTS[-1]} 并发为 1 并发的 {ratio:.2f} 倍（目标 ≤ {GOAL}）：{'达到' if met else '未达到'}",
        f"{CLIENTS[-1]} clients take {ratio:.2f} times as long as 1 (goal: at most {GOAL}): "
        f"{'met' if met else 'not met'}",
    )


if __name__ == "__main__":
    run_tool(main)
