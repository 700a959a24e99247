"""Makes the vectors of the index in the foreground: `python -m es_index DIR --vectors`.

es_search does the same beside its searches. One process at a time; the other one waits.
"""

from contextlib import closing

from tqdm import tqdm

from service_kit.dense.choose import choose_embedder
from service_kit.errors import IndexingError
from service_kit.passages import open_reader
from service_kit.settings import Settings
from service_kit.words import Words


def make_vectors(settings: Settings) -> Words:
    """Give all passages of the index their vectors; returns what to say of it.

    Raises:
        IndexingError: no embedder is set.
        SettingsError, VectorsMismatch, DependencyDown, IndexUnavailable: as `choose_embedder` and `fill`.
    """
    embedder = choose_embedder(settings)
    if embedder is None:
        raise IndexingError(
            "没有设置 YIJU_EMBEDDER，无法生成向量", "YIJU_EMBEDDER is not set, so no vectors can be made"
        )
    from service_kit.dense.engines import open_vectors  # noqa: PLC0415  # numpy and usearch
    from service_kit.dense.filling import fill, sweep  # noqa: PLC0415

    with (
        closing(embedder),
        closing(open_vectors(settings)) as vectors,
        closing(open_reader(settings)) as reader,
        vectors.filling(wait=True),
        tqdm(desc="vectors", unit="passage", mininterval=1.0) as bar,
    ):

        def show(done: int, total: int) -> None:
            bar.total = total
            bar.update(done - bar.n)

        vectors.refresh()
        fill(reader, embedder, vectors, progress=show)
        sweep(reader, vectors)
        passages, windows = vectors.count()
    return Words(
        f"{passages} 个段落有向量（{windows} 个窗口，{embedder.identity}）",
        f"{passages} passages have vectors ({windows} windows, {embedder.identity})",
    )


def drop_vectors(settings: Settings) -> Words:
    """Forget all vectors, so that another model's can be made. Waits for who is making some."""
    from service_kit.dense.engines import open_vectors  # noqa: PLC0415

    with closing(open_vectors(settings)) as vectors, vectors.filling(wait=True):
        passages, _ = vectors.count()
        vectors.drop()
    return Words(f"已删除 {passages} 个段落的向量", f"The vectors of {passages} passages are gone")
