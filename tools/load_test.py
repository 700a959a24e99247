"""Threads times rounds against llm_server or rag_server, in the tutorial's words.

`python -m tools.load_test --threads 10 --rounds 3 [--url http://host:1710/get_bot_response] [--json FILE]`

In each round all threads ask at once and the next round waits for the slowest. A URL that ends in
`/get_bot_response` is asked with `{"id","content"}`, any other with `{"messages"}`. An HTTP error, a 444 body, an
empty answer and no answer are failures: the tutorial's script counted them as successes.
"""

import argparse
import json
import threading
import uuid
from collections import Counter
from dataclasses import asdict, dataclass
from pathlib import Path
from time import perf_counter
from typing import Any

import requests

from service_kit.errors import DependencyDown, InvalidRequest
from service_kit.settings import Settings, load_settings
from tools.asking import PATH
from tools.clients import DEFAULT_PROMPT, add_client_options, post, session_for
from tools.console import run_tool


@dataclass(frozen=True)
class Sample:
    """One request: `fault` is None for an answer, else the name of what went wrong; `seconds` to its last byte."""

    fault: str | None
    seconds: float


def send(session: requests.Session, url: str, question: str) -> tuple[Sample, str]:
    """One request and what it answered."""
    rag = url.rstrip("/").endswith(PATH)
    payload: dict[str, Any] = (
        {"id": uuid.uuid4().hex, "content": question} if rag else {"messages": [{"role": "user", "content": question}]}
    )
    began = perf_counter()
    try:
        response = post(session, url, payload)
        fault, text = judge(response)
    except DependencyDown as error:
        fault, text = "no answer", str(error)
    return Sample(fault, perf_counter() - began), text


def judge(response: requests.Response) -> tuple[str | None, str]:
    """The fault of a response, None when it is a real answer, and its text."""
    if not response.ok:
        return f"HTTP {response.status_code}", response.text
    if response.headers.get("Content-Type", "").startswith("text/plain"):
        return (None if response.text else "empty answer"), response.text
    try:
        body = response.json()
        text = body["response"]
    except (requests.JSONDecodeError, KeyError, TypeError):
        return "no answer in the body", response.text
    if body.get("status", 200) != 200:
        return f"status {body['status']}", text
    return (None if text else "empty answer"), text


def run(settings: Settings, url: str, question: str, threads: int, rounds: int) -> list[Sample]:
    """All samples, in no particular order; prints a line for each."""
    samples: list[Sample] = []
    lock = threading.Lock()

    def worker(index: int) -> None:
        with session_for(settings) as session:
            sample, text = send(session, url, question)
        with lock:
            samples.append(sample)
            outcome = "Success" if sample.fault is None else f"Failure ({sample.fault})"
            print(f"Thread {index}: {outcome}, Response: {text}, Duration: {sample.seconds}s", flush=True)

    for n in range(rounds):
        print(f"开始测试轮数: {n + 1}", flush=True)
        workers = [threading.Thread(target=worker, args=(index,)) for index in range(threads)]
        for thread in workers:
            thread.start()
        for thread in workers:
            thread.join()
    return samples


def main() -> int:
    settings = load_settings()
    parser = argparse.ArgumentParser(
        prog="python -m tools.load_test", description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--threads", type=int, default=10, help="并发线程数 / threads (%(default)s)")
    parser.add_argument("--rounds", type=int, default=3, help="轮数 / rounds (%(default)s)")
    parser.add_argument("--question", default=DEFAULT_PROMPT, help="问题 / the question (%(default)s)")
    parser.add_argument("--json", type=Path, metavar="FILE", help="把结果写入 FILE / write the figures to FILE")
    add_client_options(parser, settings.address("llm").url + "/")
    args = parser.parse_args()
    if args.threads < 1 or args.rounds < 1:
        raise InvalidRequest("--threads 和 --rounds 至少为 1", "--threads and --rounds must be at least 1")
    samples = run(settings, args.url, args.question, args.threads, args.rounds)
    seconds = [sample.seconds for sample in samples]
    faults = Counter(sample.fault for sample in samples if sample.fault)
    failed = sum(faults.values())
    print(f"总成功次数: {len(samples) - failed}, 总失败次数: {failed}")
    for fault, count in faults.most_common():
        print(f"  {fault}: {count}")
    average = sum(seconds) / len(seconds)
    print(f"整体最短耗时: {min(seconds):.2f}s, 整体最长耗时: {max(seconds):.2f}s, 整体平均耗时: {average:.2f}s")
    if args.json:
        result = {
            "url": args.url, "threads": args.threads, "rounds": args.rounds, "failures": dict(faults),
            "min_s": min(seconds), "max_s": max(seconds), "mean_s": average, "samples": [asdict(s) for s in samples],
        }  # fmt: skip
        args.json.write_text(json.dumps(result, ensure_ascii=False, indent=2), "utf-8")
    return 1 if failed else 0


if __name__ == "__main__":
    run_tool(main)
