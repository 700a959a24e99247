"""Whether anything of one session ever shows in another: `python -m tools.drill_sessions [--turns 10000] --json FILE`.

Each of `--sessions` sessions has a canary, which its first question names; the services behind rag_server repeat every
canary that they are shown. Clients ask in turn, one session after the other, whole and streamed. A foreign canary in an
answer is a leak; a follow-up that does not show its own canary would mean that the drill sees nothing.
"""

import argparse
import http.client
import json
import random
import tempfile
import threading
from dataclasses import asdict, dataclass
from pathlib import Path

from tools.bench_rag import process, rag
from tools.console import run_tool
from tools.load_test.canaries import foreign_canaries, marked, new_canary
from tools.ports import free_port

CLIENTS = 8


@dataclass
class Count:
    """What was seen."""

    turns: int = 0
    leaks: int = 0
    follow_ups: int = 0
    with_their_own: int = 0


def drill(port: int, turns: int, sessions: int, seed: int = 9) -> Count:
    """Ask `turns` questions; each client has sessions of its own and draws among them."""
    total, lock = Count(), threading.Lock()

    def ask(client: int) -> None:
        draw, count, last_question = random.Random(seed + client), Count(), dict[str, int]()  # noqa: S311
        canaries = {f"s{n}": new_canary() for n in range(client, sessions, CLIENTS)}
        connection = http.client.HTTPConnection("127.0.0.1", port)
        for _ in range(turns // CLIENTS):
            session = draw.choice(list(canaries))
            asked = last_question.get(session, 0)
            last_question[session] = asked + 1
            question = "它应当怎样偿还？" if asked % 5 else marked("什么是专项债务？", canaries[session])
            body = {"id": session, "content": question, "stream": draw.random() < 0.5}
            connection.request("POST", "/get_bot_response", json.dumps(body).encode())
            answer = connection.getresponse()
            text = answer.read().decode()
            if answer.status != 200:
                raise RuntimeError(f"HTTP {answer.status}: {text[:300]}")
            count.turns += 1
            count.leaks += foreign_canaries(text, canaries[session])
            count.follow_ups += asked % 5 > 0
            count.with_their_own += asked % 5 > 0 and canaries[session] in text
        connection.close()
        with lock:
            for name, value in asdict(count).items():
                setattr(total, name, getattr(total, name) + value)

    threads = [threading.Thread(target=ask, args=(client,)) for client in range(CLIENTS)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return total


def run(turns: int, sessions: int) -> Count:
    """The drill on a rag_server process of its own."""
    echo = free_port()
    with (
        tempfile.TemporaryDirectory() as folder,
        process("tools.rag_bench.echo", str(echo), port=echo),
        rag(echo, "auto", Path(folder)) as port,
    ):
        return drill(port, turns, sessions)


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m tools.drill_sessions", description=__doc__.splitlines()[0])
    parser.add_argument("--turns", type=int, default=10_000)
    parser.add_argument("--sessions", type=int, default=200)
    parser.add_argument("--json", type=Path, metavar="FILE", help="把结果写入 FILE / write the figures")
    args = parser.parse_args()
    count = run(args.turns, args.sessions)
    share = count.with_their_own / max(1, count.follow_ups)
    print(f"{count.turns} turns, {args.sessions} sessions, {CLIENTS} clients: {count.leaks} leaks")
    print(f"follow-ups that show their own canary: {share:.3f} of {count.follow_ups}")
    if args.json:
        args.json.write_text(json.dumps(asdict(count) | {"sessions": args.sessions}, indent=2), "utf-8")
    is_whole = count.turns == args.turns // CLIENTS * CLIENTS
    return 0 if is_whole and count.leaks == 0 and share > 0.99 else 1


if __name__ == "__main__":
    run_tool(main)
