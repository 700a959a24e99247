"""What one call of the tool is to do."""

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

from service_kit.errors import InvalidRequest
from service_kit.settings import Settings
from tools.clients import DEFAULT_PROMPT
from tools.load_test import arrivals
from tools.load_test.assertions import Assertion, parse_assertion
from tools.load_test.loads import Conversations, Load, Open, Rounds, Steady
from tools.load_test.objectives import Objectives, parse_objectives
from tools.load_test.parser import build_parser
from tools.load_test.questions import BUILT_IN, read_questions
from tools.load_test.target import Target, target_of

WARMUP_SHARE, WARMUP_MOST_S = 0.1, 5.0
"""What is not counted before a run of a given duration, unless `--warmup` says something else."""


@dataclass(frozen=True)
class Options:
    """What one call of the tool is to do: several loads when a list was given, one after the other."""

    target: Target
    loads: tuple[Load, ...]
    questions: tuple[str, ...]
    timeout_s: float
    quiet: bool
    objectives: Objectives | None
    assertions: tuple[Assertion, ...]
    json: Path | None
    csv: Path | None
    html: Path | None


def read_options(argv: Sequence[str], settings: Settings) -> Options:
    """Exits on an unknown option.

    Raises:
        InvalidRequest: options that do not go together, or a value that is not allowed.
    """
    args = build_parser().parse_args(argv)
    target = target_of(settings, args.url, args.service, args.max_tokens)
    return Options(
        target=target,
        loads=_loads(args),
        questions=_questions(args, target),
        timeout_s=args.timeout,
        quiet=args.quiet,
        objectives=parse_objectives(args.slo) if args.slo else None,
        assertions=tuple(map(parse_assertion, args.asserts)),
        json=args.json,
        csv=args.csv,
        html=args.html,
    )


def _loads(args: argparse.Namespace) -> tuple[Load, ...]:
    how, *files = args.arrival
    if how not in ("poisson", "constant", "trace") or len(files) != (how == "trace"):
        raise InvalidRequest(
            "--arrival 应为 poisson、constant 或 trace FILE", "--arrival is poisson, constant or trace FILE"
        )
    if args.sessions:
        if args.rate or args.duration or how == "trace":
            raise InvalidRequest(
                "--sessions 不能与 --rate、--duration、trace 同用", "--sessions goes without --rate, --duration, trace"
            )
        return (Conversations(args.sessions, args.turns),)
    if how == "trace":
        return (_trace(Path(files[0]), args),)
    if args.rate:
        if not args.duration:
            raise InvalidRequest("--rate 需要 --duration", "--rate needs --duration")
        warmup = _warmup(args)
        return tuple(_open(rate, how, args.duration + warmup, warmup, args) for rate in args.rate)
    if args.duration:
        return tuple(Steady(threads, args.duration, _warmup(args)) for threads in args.threads)
    return tuple(Rounds(threads, args.rounds, args.warmup or 0.0) for threads in args.threads)


def _open(rate: float, how: str, total_s: float, warmup: float, args: argparse.Namespace) -> Open:
    if how == "constant":
        return Open("constant", rate, arrivals.constant(rate, total_s), args.max_in_flight, warmup)
    return Open("poisson", rate, arrivals.poisson(rate, total_s, args.seed), args.max_in_flight, warmup)


def _trace(path: Path, args: argparse.Namespace) -> Open:
    warmup = args.warmup or 0.0
    times = tuple(time for time in arrivals.trace(path) if not args.duration or time < args.duration + warmup)
    rate = len(times) / times[-1] if times[-1] else float(len(times))
    return Open("trace", round(rate, 3), times, args.max_in_flight, warmup)


def _warmup(args: argparse.Namespace) -> float:
    default = min(WARMUP_MOST_S, WARMUP_SHARE * args.duration)
    return float(default if args.warmup is None else args.warmup)


def _questions(args: argparse.Namespace, target: Target) -> tuple[str, ...]:
    if args.question and args.questions:
        raise InvalidRequest("--question 与 --questions 只能用一个", "--question or --questions, not both")
    if args.questions:
        return read_questions(args.questions)
    if args.question:
        return (args.question,)
    # The tutorial asks its model about quantum computing; no document answers that.
    return read_questions(BUILT_IN) if target.name in ("rag", "search") else (DEFAULT_PROMPT,)
