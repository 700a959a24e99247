"""Vectors from a server of `/v1/embeddings`, and rerankers of their own, over HTTP."""

import threading
from collections.abc import Iterator, Sequence
from contextlib import closing
from typing import Any

import pytest
from flask import Flask, request

from es_search.rerank import PairReranker, rerank
from service_kit.clients import ServiceClient
from service_kit.deadline import Deadline
from service_kit.dense.choose import choose_embedder
from service_kit.dense.prefixes import Prefixes
from service_kit.dense.served import ServedEmbedder
from service_kit.errors import DeadlineExceeded, DependencyDown, SettingsError
from service_kit.settings import load_settings
from tests.servers import free_port, served


class Server:
    """An embedding server; `answer` makes its answer from the texts."""

    def __init__(self) -> None:
        self.app = Flask("embeddings")
        self.seen: list[dict[str, Any]] = []
        self.keys: list[str | None] = []
        self.go = threading.Event()
        self.go.set()
        self.answer: Any = lambda texts: [[float(len(text)), 1.0] for text in texts]

        @self.app.post("/v1/embeddings")
        def embeddings() -> Any:
            body = request.get_json()
            self.seen.append(body)
            self.keys.append(request.headers.get("Authorization"))
            self.go.wait(10)
            rows = self.answer(body["input"])
            if isinstance(rows, tuple):
                return rows
            data = [{"object": "embedding", "index": n, "embedding": row} for n, row in enumerate(rows)]
            usage = {"prompt_tokens": 1, "total_tokens": 1}
            return {"object": "list", "model": body["model"], "data": data[::-1], "usage": usage}


@pytest.fixture
def server() -> Iterator[tuple[Server, str]]:
    made = Server()
    with served(made.app) as url:
        yield made, f"{url}/v1"
        made.go.set()


def plain(url: str) -> ServedEmbedder:
    return ServedEmbedder(url, "m", Prefixes("", ""), None)


def test_prefixes_batches_and_order(server: tuple[Server, str]) -> None:
    made, url = server
    embedder = ServedEmbedder(url, "bge", Prefixes("问：", "文："), "secret")
    vector = embedder.embed_query("专项债", Deadline())
    assert vector.tolist() == pytest.approx([5 / 26**0.5, 1 / 26**0.5])  # of unit length
    matrix = embedder.embed_passages(["长" * n for n in range(1, 41)])
    assert matrix.shape == (40, 2)
    assert all(matrix[n, 0] < matrix[n + 1, 0] for n in range(39))
    assert [len(body["input"]) for body in made.seen] == [1, 32, 8]
    assert made.seen[0]["input"] == ["问：专项债"]
    assert made.seen[1]["input"][0] == "文：长"
    assert made.seen[0]["model"] == "bge"
    assert made.keys == ["Bearer secret"] * 3
    assert "bge" in embedder.identity
    assert "secret" not in embedder.identity
    embedder.close()


@pytest.mark.parametrize(
    "rows",
    [[], [[1.0], [2.0]], [[float("nan"), 1.0]], [["a", "b"]], ({"error": {"message": "model not loaded"}}, 500)],
)
def test_what_is_no_vector_is_told_of(server: tuple[Server, str], rows: Any) -> None:
    made, url = server
    made.answer = lambda _: rows
    with closing(plain(url)) as embedder, pytest.raises(DependencyDown, match="embedder"):
        embedder.embed_query("问", Deadline())


def test_a_slow_server_does_not_outlast_the_deadline(server: tuple[Server, str]) -> None:
    made, url = server
    made.go.clear()
    with closing(plain(url)) as embedder, pytest.raises((DependencyDown, DeadlineExceeded)):
        embedder.embed_query("问", Deadline.after(0.2))


def test_a_dead_server_is_left_alone_for_a_while() -> None:
    with closing(plain(f"http://127.0.0.1:{free_port()}/v1")) as embedder:
        for _ in range(6):
            with pytest.raises(DependencyDown) as raised:
                embedder.embed_query("问", Deadline.after(5))
    assert "paused" in str(raised.value)


def test_settings_of_embedders() -> None:
    assert choose_embedder(load_settings(embedder="none")) is None
    for incomplete in ({"embedder": "openai"}, {"embedder": "openai", "embed_model": "m"}, {"embedder": "local"}):
        with pytest.raises(SettingsError, match="YIJU_EMBED_MODEL"):
            choose_embedder(load_settings(**incomplete))
    complete = load_settings(embedder="openai", embed_model="bge-m3", embed_url="http://127.0.0.1:1/v1")
    embedder = choose_embedder(complete)
    assert embedder is not None
    assert "bge-m3" in embedder.identity
    embedder.close()


def test_pairs_are_reranked() -> None:
    app = Flask("rerank")

    @app.post("/v1/rerank")
    def answer() -> Any:
        texts = request.get_json()["documents"]
        results = [{"index": n, "relevance_score": float(text[1:])} for n, text in enumerate(texts)]
        return {"results": sorted(results, key=lambda one: -float(one["relevance_score"]))}

    with served(app) as url:
        reranker = PairReranker(ServiceClient("reranker", url, timeout_s=5), "m")
        done = rerank(reranker, "问", {f"id{n}": f"p{n}" for n in range(20)}, 30.0, Deadline())
    assert done.scores == {f"id{n}": n for n in range(20)}
    assert done.skipped is None


def test_the_scores_so_far_when_the_time_is_over() -> None:
    class Slow:
        """Answers once, then has no time."""

        calls = 0

        def score(self, question: str, passages: Sequence[str], deadline: Deadline) -> list[float]:
            self.calls += 1
            if self.calls > 1:
                raise DeadlineExceeded("", "")
            return [float(n) for n in range(len(passages))]

    done = rerank(Slow(), "问", {f"id{n}": "" for n in range(20)}, 1.5, Deadline())
    assert done.scores == {f"id{n}": n for n in range(8)}
    assert done.skipped is not None
    assert "8" in done.skipped.en
    assert "1.5 s" in done.skipped.en
