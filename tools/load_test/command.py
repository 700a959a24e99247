"""The tool: run the loads one after the other, print, write, judge."""

from collections.abc import Sequence
from datetime import datetime

from tqdm import tqdm

from service_kit.settings import Settings, load_settings
from service_kit.words import Lang, Words
from tools.load_test.assertions import Assertion, value_of
from tools.load_test.compare import compare_command
from tools.load_test.figures import Figures, figures
from tools.load_test.files import write_csv, write_json
from tools.load_test.loads import Conversations, Load, Rounds
from tools.load_test.options import Options, read_options
from tools.load_test.report import write_report
from tools.load_test.run import Run, run_load
from tools.load_test.sample import Sample
from tools.load_test.summary import comparison, summary

INTERRUPTED = 130


def main(argv: Sequence[str]) -> int:
    """Returns the exit code: with `--assert` 0 when all hold, else 0 when nothing failed; 130 after Ctrl-C.

    Raises:
        InvalidRequest: bad options or files.
    """
    settings = load_settings()
    if argv[:1] == ["compare"]:
        return compare_command(argv[1:], settings.lang)
    options = read_options(argv, settings)
    started = datetime.now().astimezone().isoformat(timespec="seconds")
    runs: list[tuple[Run, Figures]] = []
    for load in options.loads:
        run = _run_one(load, options, settings)
        runs.append((run, figures(run, options.objectives)))
        _print(summary(*runs[-1], settings.lang))
        if run.interrupted:
            break
    if len(options.loads) > 1:
        _print(["", *comparison(runs, settings.lang)])
    if options.json:
        write_json(options.json, options.target, started, runs)
    if options.csv:
        write_csv(options.csv, runs)
    if options.html:
        write_report(options.html, options.target, started, runs, settings.lang)
    return _exit_code(runs, options.assertions, settings.lang)


def _run_one(load: Load, options: Options, settings: Settings) -> Run:
    _print([f"\n== {load.label} -> {options.target.url}"])
    by_request = isinstance(load, Rounds | Conversations) and not options.quiet

    def on_round(n: int) -> None:
        _print([Words(f"开始测试轮数: {n + 1}", f"Round {n + 1}").to(settings.lang)])

    def on_sample(sample: Sample, text: str) -> None:
        if by_request:
            outcome = "Success" if sample.ok else f"Failure ({sample.fault})"
            _print([f"Thread {sample.user}: {outcome}, Response: {text}, Duration: {sample.latency}s"])

    return run_load(
        load,
        options.target,
        options.questions,
        settings,
        timeout_s=options.timeout_s,
        listener=on_sample,
        on_round=on_round,
    )


def _exit_code(runs: Sequence[tuple[Run, Figures]], assertions: Sequence[Assertion], lang: Lang) -> int:
    broken = 0
    for run, found in runs:
        for assertion in assertions:
            if not assertion.holds(found):
                broken += 1
                value = value_of(assertion.name, found)
                words = Words(
                    f"不满足 {assertion.text}：{run.load.label} 为 {value}",
                    f"Not met: {assertion.text}; with {run.load.label} it is {value}",
                )
                _print([words.to(lang)])
    if any(run.interrupted for run, _ in runs):
        return INTERRUPTED
    failed = broken if assertions else sum(found.failures for _, found in runs)
    return 1 if failed else 0


def _print(lines: Sequence[str]) -> None:
    # tqdm's own print keeps the live line below.
    for line in lines:
        tqdm.write(line)
