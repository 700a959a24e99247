"""What a run did: lines for the console, JSON, and a page."""

from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from service_kit.words import Lang, Words
from tools.preprocess.run import Report

BINS = 12
_TEMPLATE = "report.html.jinja"


def to_json(report: Report) -> dict[str, Any]:
    """Counts, the histogram, and every input with what is known of it."""
    return {
        "files": len(report.entries),
        "passages": sum(len(entry.tokens) for entry in report.entries),
        "new": report.new,
        "changed": report.changed,
        "unchanged": len(report.unchanged),
        "removed": report.removed,
        "failed": [entry.file for entry in report.failed],
        "kept": report.kept,
        "whole": report.whole,
        "histogram": histogram(report),
        "entries": [entry.to_json() for entry in report.entries],
    }


def lines(report: Report) -> Iterator[Words]:
    """The report as people read it on the console."""
    for entry in report.entries:
        if entry.fault:
            reason = entry.fault.reason
            kept = entry.file in report.kept
            yield Words(
                f"失败 {entry.file}：[{entry.fault.name}] {reason.zh}{'；保留其上一版的段落' * kept}",
                f"failed {entry.file}: [{entry.fault.name}] {reason.en}{'; its last passages stay' * kept}",
            )
        for warning in entry.warnings:
            yield Words(f"注意 {entry.file}：{warning.zh}", f"note {entry.file}: {warning.en}")
    if not report.whole:
        yield Words("目录未能完整读取，本次不移除任何段落", "The folder could not be read whole; nothing was removed")
    counts = [len(names) for names in (report.new, report.changed, report.unchanged, report.removed, report.failed)]
    new, changed, unchanged, removed, failed = counts
    passages = sum(len(entry.tokens) for entry in report.entries)
    yield Words(
        f"新增 {new}  变更 {changed}  未变 {unchanged}  移除 {removed}  失败 {failed}；共 {passages} 个段落",
        f"new {new}  changed {changed}  unchanged {unchanged}  removed {removed}  failed {failed}; {passages} passages",
    )


def histogram(report: Report) -> list[dict[str, int]]:
    """Lengths of all passages in tokens: BINS classes of equal width, from 0 to the longest."""
    lengths = [tokens for entry in report.entries for tokens in entry.tokens]
    if not lengths:
        return []
    width = max(10, -(-(max(lengths) + 1) // BINS // 10) * 10)
    counts = Counter(length // width for length in lengths)
    return [{"from": n * width, "below": (n + 1) * width, "passages": counts[n]} for n in range(max(counts) + 1)]


def page(report: Report, lang: Lang) -> str:
    """One page of HTML that needs nothing from outside."""
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), autoescape=True, undefined=StrictUndefined, trim_blocks=True,
        lstrip_blocks=True,
    )  # fmt: skip
    bars = histogram(report)
    return environment.get_template(_TEMPLATE).render(
        lang=lang,
        say=lambda zh, en: zh if lang == "zh" else en,
        report=report,
        entries=sorted(report.entries, key=lambda entry: (entry.fault is None, entry.file)),
        passages=sum(len(entry.tokens) for entry in report.entries),
        dropped=sum(sum(entry.dropped.values()) for entry in report.entries),
        warned=sum(bool(entry.warnings) for entry in report.entries),
        bars=bars,
        tallest=max((bar["passages"] for bar in bars), default=1),
        kinds=_KINDS,
    )


_KINDS = {
    "header": Words("页眉", "header"),
    "footer": Words("页脚", "footer"),
    "page number": Words("页码", "page number"),
    "contents": Words("目录", "contents"),
    "watermark": Words("水印", "watermark"),
    "navigation": Words("网页导航", "navigation"),
}
