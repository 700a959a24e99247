"""Windows, the store of vectors, the approximate index, fusion: the parts by themselves."""

import threading
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import numpy as np
import pytest

from es_search.fusion import Candidate, Weights, added, ranks, reciprocal_ranks
from es_search.hybrid import title_shares
from service_kit.deadline import Deadline
from service_kit.dense import nearest
from service_kit.dense.block import Block, as_records
from service_kit.dense.embedded_vectors import EmbeddedVectors
from service_kit.dense.index import DenseIndex
from service_kit.dense.nearest import Nearest
from service_kit.dense.prefixes import prefixes_of
from service_kit.dense.store import Rows, VectorStore, Window
from service_kit.dense.vectors import Vector, from_bytes, to_bytes, unit
from service_kit.dense.windows import LONGEST_QUESTION, TARGET, windows
from service_kit.passages.analysis import question_terms
from tests.dense_fixtures import BigramEmbedder, bunched


def test_windows_end_at_sentence_ends_and_hold_the_whole_text() -> None:
    text = "".join(f"第{n}句话说的是预算管理中的一件事情，别的不说。" for n in range(20))
    cut = windows("预算法", text)
    assert all(one.startswith("预算法\n") and one.endswith("。") for one in cut)
    bodies = [one.removeprefix("预算法\n") for one in cut]
    assert "".join(bodies) == text
    assert all(len(body) <= 1.5 * TARGET for body in bodies)
    assert len(cut) == pytest.approx(len(text) / TARGET, abs=2)


def test_windows_of_odd_texts() -> None:
    assert windows("标题", "短。") == ["标题\n短。"]
    assert windows("标题", "   ") == ["标题"]
    endless = windows("标题", "无" * 1000)
    assert "".join(one.removeprefix("标题\n") for one in endless) == "无" * 1000
    assert max(map(len, endless)) <= 1.5 * TARGET + 3
    clauses = windows("标题", "甲乙丙丁戊己庚辛，" * 40)
    assert all(one.endswith("，") for one in clauses)
    assert len(windows("长" * 500, "短。")[0]) < 100


def test_of_a_long_question_both_ends_are_embedded(store: VectorStore, tmp_path: Path) -> None:
    given: list[str] = []

    class Recording(BigramEmbedder):
        def embed_query(self, question: str, deadline: Deadline) -> Vector:
            given.append(question)
            return super().embed_query(question, deadline)

    whole = "问" * LONGEST_QUESTION
    pasted = "材料中的一句话。" * 2500
    with closing(DenseIndex(EmbeddedVectors(tmp_path), Recording())) as dense:
        for question in (whole, f"始{pasted}", f"{pasted}终"):
            dense.question(question, deadline())
    assert given[0] == whole
    assert given[1].startswith("始材料")
    assert given[2].endswith("。终")
    assert max(map(len, given)) <= LONGEST_QUESTION + 1


def test_vectors_survive_as_bytes() -> None:
    matrix = unit(np.random.default_rng(0).normal(size=(5, 384)))
    again = from_bytes([to_bytes(row) for row in matrix], 384)
    assert np.abs(again @ matrix.T - matrix @ matrix.T).max() < 1e-3


@pytest.fixture
def store(tmp_path: Path) -> Iterator[VectorStore]:
    with closing(VectorStore(tmp_path)) as opened:
        yield opened


def test_nearest_finds_what_is_exactly_nearest(
    store: VectorStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(nearest, "TAIL", 500)
    vectors = bunched(4000)
    ids = [f"p{n}" for n in range(len(vectors))]
    store.add("one", {one: vectors[n : n + 1] for n, one in enumerate(ids[:3500])})
    near = Nearest(tmp_path, store)
    near.grow()
    store.add("one", {one: vectors[n : n + 1] for n, one in enumerate(ids[3500:], 3500)})
    near.refresh()
    assert near.tail == 500
    assert recall(near, vectors, ids) >= 0.98
    other = Nearest(tmp_path, store)  # another process
    other.refresh()
    assert recall(other, vectors, ids) >= 0.98

    store.remove(ids[:1000])
    near.grow()  # built anew: a fifth is gone
    assert near.tail == 0
    assert recall(near, vectors[1000:], ids[1000:]) >= 0.98
    assert len(list(tmp_path.glob("*.usearch"))) <= 2

    for file in tmp_path.glob("*.usearch"):
        file.write_bytes(b"damaged")
    broken = Nearest(tmp_path, store)
    broken.refresh()
    assert recall(broken, vectors[1000:], ids[1000:]) == 1.0  # all compared one by one
    broken.grow()
    assert broken.tail == 0
    assert recall(broken, vectors[1000:], ids[1000:]) >= 0.98


def recall(near: Nearest, vectors: np.ndarray, ids: list[str]) -> float:
    shares = []
    for question in bunched(30)[::2]:
        exact = {ids[n] for n in np.argsort(-(vectors @ question))[:100]}
        found = near.search(question, 200)
        best = sorted(found, key=lambda one: -found[one].cosine)[:100]
        shares.append(len(exact & set(best)) / 100)
    return float(np.mean(shares))


def test_added_scores() -> None:
    weights = Weights(dense=2.0, document=0.0)
    words = Candidate("w", 0.9, 0.5, "a")
    meaning = Candidate("m", 0.1, 1.0, "b")
    neither = Candidate("n", 0.1, 0.6, "c")
    assert ranks(added([words, meaning, neither], weights)) == {"m": 1, "w": 2, "n": 3}
    assert ranks(added([words, meaning, neither], weights._replace(dense=0.5)))["w"] == 1
    unknown = Candidate("u", 0.1, None, "d")
    scores = added([words, meaning, unknown], weights)
    assert scores["u"] == pytest.approx(0.1)  # as if its cosine were the middle one


def test_a_document_speaks_for_its_passages() -> None:
    some = [Candidate(f"d{n}", 0.5, 0.5, "document") for n in range(4)]
    alone = Candidate("a", 0.5, 0.5, "alone")
    scores = added([*some, alone], Weights(1.0, 0.3))
    assert scores["d0"] > scores["a"]
    assert added([*some, alone], Weights(1.0, 0.0))["d0"] == added([*some, alone], Weights(1.0, 0.0))["a"]


def test_whose_vectors_they_are_is_told_while_others_are_written(store: VectorStore) -> None:
    store.add("m", {"a": unit(np.ones((1, 4)))})
    told = threading.Event()

    def ask() -> None:
        store.check_identity("m")
        told.set()

    def gone() -> Iterator[str]:
        """Asked for amid the transaction."""
        threading.Thread(target=ask, daemon=True).start()
        assert told.wait(10)
        yield "a"

    store.remove(gone())
    assert store.passages() == set()


def test_words_of_the_title_count_less_beside_meaning() -> None:
    by_title = Candidate("t", 0.5, 0.5, "a", title=0.4)
    by_text = Candidate("x", 0.5, 0.5, "b", title=0.1)
    assert added([by_title, by_text], Weights(1.0, 0.0)) == pytest.approx({"t": 0.44, "x": 0.485})
    assert added([by_title, by_text], Weights(0.0, 0.0)) == {"t": 0.5, "x": 0.5}


def test_the_share_of_a_question_that_a_title_holds() -> None:
    idf = {"专项": 1.0, "债务": 0.5, "限额": 1.5}
    share = title_shares("专项债务限额", idf)
    assert share("专项债务办法") == pytest.approx(3 / 6)  # words of two characters are bigrams, too: both count twice
    assert share("办法") == 0
    assert title_shares("专项债务限额", {})("专项债务办法") == 0
    assert title_shares("gb", {"gb": 2.0})("ＧＢ") == 1


def test_a_term_across_the_states_name_is_one_of_the_title() -> None:
    share = title_shares("关于预算", dict.fromkeys(question_terms("关于预算"), 1.0))
    assert share("关于中华人民共和国预算的说明") == pytest.approx(1)


def test_reciprocal_ranks() -> None:
    both = [Candidate("a", 0.9, 0.5, ""), Candidate("b", 0.8, 0.9, ""), Candidate("c", 0.1, None, "")]
    scores = reciprocal_ranks(both)
    assert scores["a"] == pytest.approx(1 / 61 + 1 / 62) == scores["b"]
    assert scores["c"] == pytest.approx(1 / 63)


def test_prefixes() -> None:
    assert prefixes_of("intfloat/multilingual-e5-small") == ("query: ", "passage: ")
    assert prefixes_of("/models/bge-m3") == ("", "")
    assert prefixes_of("BAAI/bge-large-zh-v1.5").query.endswith("：")
    assert prefixes_of("Qwen/Qwen3-Embedding-0.6B").query.endswith("Query:")
    assert prefixes_of("unknown") == ("", "")
    assert prefixes_of("unknown", "q: ", "p: ") == ("q: ", "p: ")


def deadline() -> Deadline:
    return Deadline.after(30)


def test_a_block_finds_windows_by_passage() -> None:
    rows = Rows([Window(3, "a", 0), Window(4, "a", 1), Window(7, "b", 0), Window(9, "a", 0)], bunched(4))
    block = Block(as_records(rows))
    assert block.of_passages(["b", "x", "a"]).tolist() == [2, 3]  # "a" went and came back
    assert block.at_keys(np.array([9, 4])).tolist() == [3, 1]
    assert Block.empty(64).of_passages(["a"]).tolist() == []
    assert block.likeness(np.array([0, 1]), rows.vectors[1])["a"].window == 1
