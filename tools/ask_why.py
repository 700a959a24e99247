"""Why these passages, in this order: `python -m tools.ask_why "question" [-k 10] [--url URL]`, asked of es_search."""

import argparse
import unicodedata
from collections.abc import Mapping, Sequence
from typing import Any

from service_kit.clients import ServiceClient
from service_kit.deadline import Deadline
from service_kit.settings import load_settings
from tools.console import run_tool, speaker

_STAGES = ("lexical", "dense", "fused", "reranked", "authority")
_TITLE = 24
_MATCHED = 8
_WINDOW = 100


def main(argv: Sequence[str] | None = None) -> int:
    """Returns the exit code."""
    settings = load_settings()
    parser = argparse.ArgumentParser(prog="python -m tools.ask_why", description=__doc__)
    parser.add_argument("question")
    parser.add_argument("-k", type=int, default=10, help="passages to show (%(default)s)")
    parser.add_argument("--url", default=settings.address("search").url, help="es_search (%(default)s)")
    args = parser.parse_args(argv)
    say = speaker(settings)
    client = ServiceClient("es_search", args.url.rstrip("/"), timeout_s=60, api_key=settings.own_key)
    body = client.post("/", {"question": args.question, "top_k": args.k, "explain": True}, Deadline())
    say(f"检索方式：{body['retrieval_mode']}", f"Searched: {body['retrieval_mode']}")
    for stage, reason in body.get("skipped", {}).items():
        say(f"未做 {stage}：{reason}", f"Done without {stage}: {reason}")
    print(f"{'':>3} {_wide('', _TITLE)} {'words':>6} {'cosine':>7} {'score':>7}  " + " → ".join(_STAGES))
    for n, (hit, why) in enumerate(zip(body["hits"], body["explain"], strict=True), 1):
        for line in _lines(n, hit, why):
            print(line)
    return 0


def _lines(n: int, hit: Mapping[str, Any], why: Mapping[str, Any]) -> list[str]:
    ranks = " → ".join(f"{why['ranks'].get(stage, '-'):>{len(stage)}}" for stage in _STAGES)
    dense = "-" if why["dense"] is None else f"{why['dense']:.3f}"
    exact = " =" if hit.get("exact") else ""
    matched = "  ".join(f"{term} {idf:.1f}" for term, idf in list(why["matched"].items())[:_MATCHED])
    shown = why["window"] or hit["text"]
    text = " ".join(shown.split())
    return [
        f"{n:>3} {_wide(hit['title'], _TITLE)} {why['lexical']:6.3f} {dense:>7} {why['score']:7.3f}  {ranks}{exact}",
        f"      {matched}" if matched else "      -",
        f"      {text[:_WINDOW]}{'…' if len(text) > _WINDOW else ''}",
    ]


def _wide(text: str, columns: int) -> str:
    """Cut or filled to so many columns of a terminal; a Chinese character takes two."""
    shown, used = "", 0
    for char in text:
        width = 2 if unicodedata.east_asian_width(char) in "WF" else 1
        if used + width > columns:
            break
        shown, used = shown + char, used + width
    return shown + " " * (columns - used)


if __name__ == "__main__":
    run_tool(main)
