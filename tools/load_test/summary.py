"""What is printed of a run: the tutorial's lines first, then what one can decide by."""

from collections.abc import Callable, Iterator, Sequence

from service_kit.words import Lang, Words
from tools.load_test.figures import Figures
from tools.load_test.loads import Conversations, Open
from tools.load_test.percentiles import Percentiles
from tools.load_test.run import Run
from tools.load_test.table import aligned

Pick = Callable[[str, str], str]


def summary(run: Run, figures: Figures, lang: Lang) -> list[str]:
    """The lines about one run."""

    def pick(zh: str, en: str) -> str:
        return Words(zh, en).to(lang)

    parts = (_outcome, _spreads, _rates, _stages, _leaks, _warnings)
    return [line for part in parts for line in part(run, figures, pick)]


def comparison(runs: Sequence[tuple[Run, Figures]], lang: Lang) -> list[str]:
    """The tutorial's table: mean latency by load, and its ratio to the first one's (of `1,3,5,10`: to one thread)."""

    def pick(zh: str, en: str) -> str:
        return Words(zh, en).to(lang)

    first = next((figures.latency.mean for _, figures in runs if figures.latency), None)
    base = runs[0][0].load.concurrency or runs[0][0].load.label
    ratio = pick(f"对 {base} 的倍数", f"ratio to {base}")
    head = (pick("并发", "load"), pick("平均耗时", "average"), ratio, "p50", "p95", "p99", pick("回答/秒", "answers/s"))
    rows: list[tuple[str, ...]] = [(*head, pick("失败", "failed"))]
    for run, figures in runs:
        latency = figures.latency
        times = _row(latency, first) if latency and first else ("-",) * 5
        rows.append((str(run.load.concurrency or run.load.label), *times, f"{figures.rate:.2f}", str(figures.failures)))
    return aligned(rows)


def _row(latency: Percentiles, first: float) -> tuple[str, ...]:
    points = (latency.p50, latency.p95, latency.p99)
    return f"{latency.mean:.3f}s", f"{latency.mean / first:.2f}", *(f"{point:.3f}s" for point in points)


def _outcome(run: Run, figures: Figures, pick: Pick) -> Iterator[str]:
    yield pick(
        f"总成功次数: {figures.succeeded}, 总失败次数: {figures.failures}",
        f"Succeeded: {figures.succeeded}, failed: {figures.failures}",
    )
    for fault, count in figures.faults.items():
        yield f"  {fault}: {count}"
    for name, refusals in figures.refusals.items():
        low, high = refusals.retry_after or (None, None)
        hint = "" if low is None else f", Retry-After {low:g}s" + ("" if low == high else f" … {high:g}s")
        yield f"  {name} {pick('（服务拒绝）', '(refused)')}: {refusals.count}{hint}"
    if latency := figures.latency:
        yield pick(
            f"整体最短耗时: {latency.min:.2f}s, 整体最长耗时: {latency.max:.2f}s, 整体平均耗时: {latency.mean:.2f}s",
            f"Shortest: {latency.min:.2f}s, longest: {latency.max:.2f}s, average: {latency.mean:.2f}s",
        )
    if run.interrupted:
        yield pick(
            f"已中断，{figures.unfinished} 个请求没有等到回答",
            f"Interrupted: {figures.unfinished} requests had no answer yet",
        )


def _spreads(run: Run, figures: Figures, pick: Pick) -> Iterator[str]:
    named = (
        (pick("耗时 s", "latency s"), figures.latency),
        (pick("首段 s", "first piece s"), figures.ttft),
        (pick("段间隔 s", "gap between pieces s"), figures.gap),
        (pick("单流 token/s", "token/s of one stream"), figures.tokens_per_s),
    )
    rows = [(name, *(f"{point:.3f}" for point in _points(spread))) for name, spread in named if spread]
    if rows:
        yield from aligned([("", "p50", "p90", "p95", "p99", "max"), *rows])


def _points(spread: Percentiles) -> tuple[float, ...]:
    return spread.p50, spread.p90, spread.p95, spread.p99, spread.max


def _rates(run: Run, figures: Figures, pick: Pick) -> Iterator[str]:
    parts = [pick(f"回答 {figures.rate:.2f}/秒", f"{figures.rate:.2f} answers/s")]
    if figures.all_tokens_per_s:
        parts.append(f"{figures.all_tokens_per_s:.1f} token/s")
    parts.append(pick(f"最多同时 {figures.max_in_flight} 个", f"at most {figures.max_in_flight} in flight"))
    if isinstance(run.load, Open):
        parts.append(pick(f"丢弃 {figures.dropped} 个到达", f"{figures.dropped} arrivals dropped"))
    if run.warmup:
        parts.append(pick(f"预热 {run.warmup} 个不计", f"{run.warmup} of the warm-up not counted"))
    yield pick("，", ", ").join(parts)
    if goodput := figures.goodput:
        yield pick(
            f"及时回答 {goodput.per_s:.2f}/秒，占 {goodput.share:.1%}",
            f"In time: {goodput.per_s:.2f}/s, {goodput.share:.1%}",
        )


def _stages(run: Run, figures: Figures, pick: Pick) -> Iterator[str]:
    if figures.stages:
        parts = [f"{name} {1000 * stage.mean_s:.1f}ms {stage.share:.0%}" for name, stage in figures.stages.items()]
        yield pick("各阶段平均与占比: ", "Stages, mean and share: ") + ", ".join(parts)


def _leaks(run: Run, figures: Figures, pick: Pick) -> Iterator[str]:
    if isinstance(run.load, Conversations):
        seen = f"{figures.canaries_seen}/{figures.requests}"
        yield pick(
            f"串话: {figures.leaks}（{seen} 个回答里看得到本会话的标记）",
            f"Leaks between sessions: {figures.leaks} (in {seen} answers the session's own mark could be seen)",
        )


def _warnings(run: Run, figures: Figures, pick: Pick) -> Iterator[str]:
    if figures.client_is_bottleneck:
        cpu, lag = f"{figures.client_cpu:.0%}", f"{1000 * figures.client_lag_s:.1f}ms"
        yield pick(
            f"警告：压测客户端自己是瓶颈（用了一个核的 {cpu}，事件循环 p99 迟到 {lag}），服务其实比以上耗时快",
            f"Warning: the load test itself is the bottleneck ({cpu} of a core, its loop {lag} late at p99): "
            "the service is faster than these times",
        )
