"""The figures as a picture."""

from pathlib import Path

from tools.llm_bench.clients import Figures

_COLOURS = {"serial": "#8a8f98", "batch": "#1f6f54"}
_TITLES = {"short": "short: 76 tokens, answers of 64", "rag": "RAG: 900 tokens, answers of 32"}


def plot(figures: list[Figures], path: Path) -> None:
    """Tokens a second and mean latency over the number of clients; needs matplotlib (the `dev` extra)."""
    import matplotlib as mpl  # noqa: PLC0415  # only where a picture is wanted

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    picture, axes = plt.subplots(2, 2, figsize=(8, 5.2), sharex="col")
    for column, (workload, title) in enumerate(_TITLES.items()):
        for engine, colour in _COLOURS.items():
            rows = [one for one in figures if (one.workload, one.engine) == (workload, engine)]
            rows.sort(key=lambda one: one.clients)
            clients, look = [one.clients for one in rows], {"marker": "o", "color": colour, "label": engine}
            axes[0, column].plot(clients, [one.tokens_per_s for one in rows], **look)
            axes[1, column].plot(clients, [one.mean_s for one in rows], **look)
        shown = sorted({one.clients for one in figures if one.workload == workload})
        axes[0, column].set_title(title, fontsize=10)
        axes[1, column].set_xlabel("clients")
        axes[1, column].set_xscale("log")
        axes[1, column].set_xticks(shown, [str(number) for number in shown])
        axes[1, column].minorticks_off()
        for axis in axes[:, column]:
            axis.set_ylim(bottom=0)
            axis.grid(alpha=0.3)
            axis.spines[["top", "right"]].set_visible(False)
    axes[0, 0].set_ylabel("tokens/s")
    axes[1, 0].set_ylabel("mean latency, s")
    axes[0, 0].legend(frameon=False)
    picture.tight_layout()
    picture.savefig(path, dpi=100)
    plt.close(picture)
