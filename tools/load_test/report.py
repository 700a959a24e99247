"""The HTML report: one page, nothing loaded from elsewhere."""

from collections.abc import Sequence
from pathlib import Path

from jinja2 import Environment, FileSystemLoader
from markupsafe import Markup

from service_kit.words import Lang, Words
from tools.load_test.figures import Figures
from tools.load_test.plots import plots
from tools.load_test.run import Run
from tools.load_test.target import Target

_TEMPLATE = "report.html.j2"


def write_report(path: Path, target: Target, started: str, runs: Sequence[tuple[Run, Figures]], lang: Lang) -> None:
    """Write the page to `path`."""

    def pick(zh: str, en: str) -> str:
        return Words(zh, en).to(lang)

    environment = Environment(loader=FileSystemLoader(Path(__file__).parent), autoescape=True, trim_blocks=True)
    environment.filters["s"] = lambda seconds: f"{seconds:.3f}"
    page = environment.get_template(_TEMPLATE).render(
        lang="zh-CN" if lang == "zh" else "en",
        t=pick,
        target=target,
        started=started,
        runs=runs,
        plots=[(plot.title.to(lang), Markup(plot.svg)) for plot in plots(runs)],  # noqa: S704  # made by ourselves
    )
    path.write_text(page, "utf-8")
