"""The command line of a run."""

import argparse
import math
from collections.abc import Callable
from pathlib import Path

from tools.clients import DEFAULT_PROMPT, TIMEOUT_S
from tools.load_test.questions import BUILT_IN
from tools.load_test.target import NAMES

DESCRIPTION = """\
教程的压力测试 / the tutorial's load test:
  python -m tools.load_test --threads 10 --rounds 3
  python -m tools.load_test --threads 1,3,5,10
每个线程连续提问 / every thread asks one question after the other:
  python -m tools.load_test --service rag --threads 1,3,5,10,30 --duration 20 --html report.html
按速率到达，不等待回答 / arrivals that wait for nobody:
  python -m tools.load_test --service rag --rate 20 --duration 60 --slo total=2 --assert 'p99<2' 'failures==0'
多会话多轮，查串话 / conversations, looking for leaks between them:
  python -m tools.load_test --service rag --sessions 20 --turns 4
比较两次结果 / compare two results:
  python -m tools.load_test compare A.json B.json
"""


def build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(
        prog="python -m tools.load_test", description=DESCRIPTION, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    whom = parser.add_argument_group("问谁 / whom")
    whom.add_argument(
        "--service", choices=NAMES, help="服务；默认由 --url 判断，否则 llm / default: from --url, else llm"
    )
    whom.add_argument("--url", help="服务地址；默认取自设置 / default: from the settings")
    whom.add_argument("--question", help=f"一个问题 / one question ({DEFAULT_PROMPT})")
    whom.add_argument(
        "--questions",
        metavar="FILE",
        help=f"每行一个问题，或带 query 的 jsonl / lines, or jsonl with query ({BUILT_IN})",
    )
    whom.add_argument("--max-tokens", type=_positive(int), help="回答的最大长度 / longest answer")
    load = parser.add_argument_group("负载 / load")
    load.add_argument(
        "--threads", type=_list(int), default=(10,), help="并发线程数，可为列表 / threads, or a list (10)"
    )
    load.add_argument("--rounds", type=_positive(int), default=3, help="轮数 / rounds (%(default)s)")
    load.add_argument("--duration", type=_positive(float), metavar="S", help="持续秒数 / seconds")
    load.add_argument(
        "--rate", type=_list(float), metavar="R", help="每秒到达数，可为列表 / arrivals a second, or a list"
    )
    load.add_argument(
        "--arrival", nargs="+", default=["poisson"], metavar="HOW", help="poisson | constant | trace FILE (poisson)"
    )
    load.add_argument(
        "--max-in-flight", type=_positive(int), default=500, help="未答请求上限 / unanswered (%(default)s)"
    )
    load.add_argument("--seed", type=int, default=0, help="随机到达的种子 / of the random arrivals (%(default)s)")
    load.add_argument("--sessions", type=_positive(int), help="同时进行的会话数 / conversations at once")
    load.add_argument(
        "--turns", type=_positive(int), default=3, help="每个会话的轮数 / questions in each (%(default)s)"
    )
    load.add_argument("--warmup", type=_not_negative, metavar="S", help="不计入的预热秒数 / seconds that do not count")
    load.add_argument("--timeout", type=_positive(float), default=TIMEOUT_S, metavar="S", help="(%(default)s)")
    result = parser.add_argument_group("结果 / result")
    result.add_argument("--quiet", action="store_true", help="不逐条打印 / no line for each request")
    result.add_argument("--slo", metavar="ttft=2,total=20", help="及时回答的标准，秒 / what is in time, seconds")
    result.add_argument(
        "--assert", dest="asserts", nargs="+", default=[], metavar="'p99<2'", help="决定退出码 / set the exit code"
    )
    result.add_argument("--json", type=Path, metavar="FILE", help="全部结果 / everything")
    result.add_argument("--csv", type=Path, metavar="FILE", help="每个请求一行 / a line for each request")
    result.add_argument("--html", type=Path, metavar="FILE", help="带图的报告 / a report with plots")
    return parser


def _positive(kind: Callable[[str], float]) -> Callable[[str], float]:
    def read(text: str) -> float:
        value = kind(text)
        if not 0 < value < math.inf:
            raise argparse.ArgumentTypeError(f"{text}：须大于 0 / must be above 0")
        return value

    return read


def _not_negative(text: str) -> float:
    value = float(text)
    if not 0 <= value < math.inf:
        raise argparse.ArgumentTypeError(f"{text}：不能小于 0 / must not be below 0")
    return value


def _list(kind: Callable[[str], float]) -> Callable[[str], tuple[float, ...]]:
    return lambda text: tuple(map(_positive(kind), text.split(",")))
