"""A local embedder and a local cross-encoder, end to end: tiny models with random weights, made here."""

import json
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path
from typing import Any

import openai
import pytest

import es_search.app
from es_search.app import create_app as create_search
from es_search.dense_search import Meaning
from llm_server.app import create_app as create_llm
from service_kit.passages import Passage, open_writer
from service_kit.settings import load_settings
from tests.servers import served, wait_until

pytestmark = pytest.mark.slow
CHARACTERS = "用人单位拖欠工资的劳动者可以依法申请支付令机动车通过横道时应当减速行驶第条标题，。？怎么办"
PASSAGES = [
    Passage("劳动法", "用人单位拖欠工资的，劳动者可以依法申请支付令。"),
    Passage("交通法", "机动车应当减速行驶。"),
]


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    """Folders of an embedding model and a cross-encoder, as the hub has them."""
    import torch
    from transformers import BertConfig, BertForSequenceClassification, BertModel, BertTokenizer

    folder = tmp_path_factory.mktemp("models")
    vocabulary = folder / "vocab.txt"
    vocabulary.write_text("\n".join(["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", *sorted(set(CHARACTERS))]))
    tokenizer = BertTokenizer(vocab_file=str(vocabulary))
    size: dict[str, Any] = {
        "hidden_size": 32,
        "num_hidden_layers": 1,
        "num_attention_heads": 2,
        "intermediate_size": 64,
    }
    torch.manual_seed(0)
    kinds: list[tuple[str, Any, dict[str, Any]]] = [
        ("bge-tiny", BertModel, {}),
        ("reranker-tiny", BertForSequenceClassification, {"num_labels": 1}),
    ]
    for name, kind, labels in kinds:
        kind(BertConfig(**size, vocab_size=len(tokenizer), **labels)).save_pretrained(folder / name)
        tokenizer.save_pretrained(folder / name)
    pooling = folder / "bge-tiny" / "1_Pooling"
    pooling.mkdir()
    (pooling / "config.json").write_text(json.dumps({"pooling_mode_mean_tokens": True}))
    return folder / "bge-tiny", folder / "reranker-tiny"


@pytest.fixture(scope="module")
def llm(models: tuple[Path, Path]) -> Iterator[str]:
    embedder, reranker = map(str, models)
    with served(create_llm(load_settings(embedder="local", embed_model=embedder, rerank_model=reranker))) as url:
        yield url


def test_openai_client(llm: str) -> None:
    with openai.OpenAI(base_url=f"{llm}/v1", api_key="none") as client:
        texts = ["用人单位拖欠工资。", "机动车", "用人单位拖欠工资。"]
        rows = [one.embedding for one in client.embeddings.create(model="any", input=texts).data]  # base64
        plain = client.embeddings.create(model="any", input=texts[1], encoding_format="float").data[0].embedding
    assert rows[0] == pytest.approx(rows[2], abs=1e-5)
    assert rows[1] == pytest.approx(plain, abs=1e-5)
    assert sum(value * value for value in rows[0]) == pytest.approx(1, abs=1e-4)


def test_mean_of_the_tokens(llm: str, models: tuple[Path, Path]) -> None:
    import torch
    from transformers import AutoModel, AutoTokenizer

    text = "用人单位拖欠工资"
    tokenizer, model = AutoTokenizer.from_pretrained(models[0]), AutoModel.from_pretrained(models[0])
    with torch.no_grad():
        expected = model(**tokenizer(text, return_tensors="pt")).last_hidden_state[0].mean(0)
    expected = (expected / expected.norm()).tolist()
    with openai.OpenAI(base_url=f"{llm}/v1", api_key="none") as client:
        padded = client.embeddings.create(model="any", input=[text, "机" * 100]).data[0].embedding
    assert padded == pytest.approx(expected, abs=1e-4)


def test_search_with_local_models(
    llm: str, models: tuple[Path, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    made: list[Meaning] = []

    def meaning(*arguments: Any) -> Meaning:
        made.append(Meaning(*arguments))
        return made[-1]

    monkeypatch.setattr(es_search.app, "Meaning", meaning)
    settings = load_settings(
        data=tmp_path,
        embedder="local",
        embed_model=str(models[0]),
        llm_url=llm,
        reranker="local",
        rerank_model=str(models[1]),
        rerank_budget_s=30.0,
        embed_budget_s=30.0,
    )
    with closing(open_writer(settings)) as writer:
        writer.upsert(PASSAGES)
        writer.commit()
    client = create_search(settings).test_client()

    def vectors() -> Any:
        return client.get("/readyz").get_json()["dependencies"]["vectors"].get("with_vectors")

    wait_until(lambda: vectors() == 2, "all vectors", 60)
    answer = client.post("/", json={"question": "拖欠工资怎么办", "top_k": 2, "explain": True}).get_json()
    assert answer["retrieval_mode"] == "reranked"
    assert "skipped" not in answer
    assert {why["ranks"]["reranked"] for why in answer["explain"]} == {1, 2}
    assert all(why["dense"] is not None for why in answer["explain"])
    made[0].close()


def test_without_a_model_it_says_which_setting() -> None:
    client = create_llm(load_settings()).test_client()
    for path, body, setting in (
        ("/v1/embeddings", {"input": "问"}, "YIJU_EMBEDDER=local, YIJU_EMBED_MODEL"),
        ("/v1/rerank", {"query": "问", "documents": ["文"]}, "YIJU_RERANK_MODEL"),
    ):
        answer = client.post(path, json=body)
        assert answer.status_code == 503
        assert setting in answer.get_json()["error"]["message"]
    assert client.post("/v1/embeddings", json={"input": []}).status_code == 400
