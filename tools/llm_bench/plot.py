"""The figures as a picture."""

from pathlib import Path

from tools.llm_bench.clients import Figures


def plot(figures: list[Figures], path: Path) -> None:
    """Tokens a second and mean latency over the number of clients; needs matplotlib (the `dev` extra)."""
    import matplotlib as mpl  # noqa: PLC0415  # only where a picture is wanted

    mpl.use("Agg")
    from matplotlib import pyplot as plt  # noqa: PLC0415

    picture, axes = plt.subplots(2, 2, figsize=(10, 7), sharex=True)
    for column, workload in enumerate(("short", "rag")):
        for engine in ("serial", "batch"):
            rows = [one for one in figures if (one.workload, one.engine) == (workload, engine)]
            clients = [one.clients for one in rows]
            axes[0, column].plot(clients, [one.tokens_per_s for one in rows], marker="o", label=engine)
            axes[1, column].plot(clients, [one.mean_s for one in rows], marker="o", label=engine)
        axes[0, column].set(title=workload, ylabel="tokens/s")
        axes[1, column].set(xlabel="clients", ylabel="mean latency, s")
        for axis in axes[:, column]:
            axis.set_ylim(bottom=0)
            axis.legend()
    picture.tight_layout()
    picture.savefig(path, dpi=110)
    plt.close(picture)
