"""The search service's contract."""

from contextlib import closing
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient

from es_search.app import create_app
from service_kit.passages import Passage, open_writer
from service_kit.settings import Settings, load_settings
from tests.corpus import index_passages

PASSAGES = [
    Passage("专项债务", "专项债务通过政府性基金收入偿还。", issuer="财政部", file="a/zx.txt"),
    Passage("一般债务", "一般债务以一般公共预算收入偿还。", file="yb.txt"),
    Passage("预算法", "预算经人民代表大会批准。", source="法.pdf", file="ysf.txt"),
]


@pytest.fixture
def settings(tmp_path: Path) -> Settings:
    return load_settings(data=tmp_path)


@pytest.fixture
def client(settings: Settings) -> FlaskClient:
    """A client of a service that has an index."""
    fill(settings)
    return create_app(settings).test_client()


def fill(settings: Settings) -> None:
    with closing(open_writer(settings)) as writer:
        writer.upsert(PASSAGES)
        writer.commit()


def test_answer(client: FlaskClient) -> None:
    answer = client.post("/", json={"question": "专项债务通过什么偿还？", "top_k": 2}, headers={"X-Request-ID": "r1"})
    body = answer.get_json()
    assert answer.status_code == 200
    assert body["docs"] == ["专项债务\n专项债务通过政府性基金收入偿还。", "一般债务\n一般债务以一般公共预算收入偿还。"]
    first = body["hits"][0]
    assert first["fields"] == {"issuer": "财政部", "source": "zx.txt"}
    assert (first["title"], first["text"]) == ("专项债务", "专项债务通过政府性基金收入偿还。")
    assert first["id"] == PASSAGES[0].id
    assert first["score"] > body["hits"][1]["score"] > 0
    assert 0 < first["normalised_score"] <= 1
    assert body["idf"]["专项"] > body["idf"]["债务"]
    assert body["trace_id"] == "r1" == answer.headers["X-Request-ID"]


def test_metadata_is_shown_but_no_part_of_docs(client: FlaskClient) -> None:
    body = client.post("/", json={"question": "预算法", "top_k": 1}).get_json()
    assert body["hits"][0]["fields"] == {"source": "法.pdf"}
    assert body["docs"] == ["预算法\n预算经人民代表大会批准。"]


def test_filters_and_what_a_hit_says_of_itself(settings: Settings) -> None:
    old = Passage("旧办法", "债务限额按旧办法执行。", issuer="财政部", issued="2015-01-01", repealed="2020-01-01")
    new = Passage(
        "新办法", "债务限额按新办法执行。", issuer="财政部、证监会", issued="2020-01-01", doc_no="财预〔2020〕1号"
    )
    with closing(open_writer(settings)) as writer:
        writer.upsert([old, new])
        writer.commit()
    client = create_app(settings).test_client()

    def titles(**filters: str) -> list[str]:
        body = client.post("/", json={"question": "债务限额", "filters": filters}).get_json()
        return [hit["title"] for hit in body["hits"]]

    assert titles() == ["新办法", "旧办法"]
    assert titles(as_of="2019-06-01") == titles(status="repealed") == ["旧办法"]
    assert titles(as_of="2021-06-01") == titles(status="in_force") == titles(issuer="证监会") == ["新办法"]
    first, second = client.post("/", json={"question": "财预[2020]1号的债务限额", "filters": None}).get_json()["hits"]
    assert (first["status"], first["repealed"], first["exact"]) == ("in_force", False, True)
    assert (second["status"], second["repealed"], second["exact"]) == ("repealed", True, False)
    assert first["highlights"] == [[0, 4]]
    assert first["ranked_by"] == first["normalised_score"]  # without vectors


@pytest.mark.parametrize(("margin", "first"), [(0.05, "law"), (0.0, "notice")])
def test_of_near_equals_the_higher_rank_is_shown(settings: Settings, margin: float, first: str) -> None:
    passages = {
        "notice": Passage("债务通知", "债务限额由国务院确定，逐级下达。", doc_no="财预〔2020〕1号"),
        "law": Passage("中华人民共和国债务法", "债务限额由国务院确定，并逐级下达。"),
    }
    index_passages(settings, tuple(passages.values()))
    client = create_app(settings.model_copy(update={"authority": margin})).test_client()
    body = client.post("/", json={"question": "债务限额由谁确定", "top_k": 1, "explain": True}).get_json()
    assert body["docs"] == [passages[first].content]
    assert body["explain"][0]["ranks"] == ({"lexical": 2, "authority": 1} if margin else {"lexical": 1})


def test_selftest(client: FlaskClient, settings: Settings, tmp_path: Path) -> None:
    answer = client.get("/selftest")
    assert answer.status_code == 200
    assert [one["ok"] for one in answer.get_json()["probes"]] == [True, True, True]
    assert client.get("/readyz").get_json()["dependencies"]["selftest"]["ok"]
    empty = create_app(settings.model_copy(update={"data": tmp_path / "none"})).test_client()
    answer = empty.get("/selftest")
    assert answer.status_code == 503
    assert "python -m es_index" in answer.get_json()["probes"][-1]["message"]


def test_more_questions_in_one_request(client: FlaskClient) -> None:
    first, second = "专项债务收入可以用于经常性支出吗？", "一般债务应当如何偿还？"
    answer = client.post("/", json={"question": first, "top_k": 1, "more": [second, "？"]}).get_json()
    alone = [client.post("/", json={"question": one, "top_k": 1}).get_json() for one in (first, second)]
    assert answer["hits"] == alone[0]["hits"]
    assert answer["more"][0]["hits"] == alone[1]["hits"]
    assert answer["more"][0]["idf"] == alone[1]["idf"]
    assert answer["more"][1]["hits"] == []
    for more in ([""], "x", ["a"] * 9):
        refused = client.post("/", json={"question": first, "more": more})
        assert refused.status_code == 400
        assert "more" in refused.get_json()["error"]["allowed"]


def test_tutorial_client_without_content_type(client: FlaskClient) -> None:
    answer = client.post("/", data='{"question": "债务", "top_k": 1, "unknown": 0}'.encode())
    assert len(answer.get_json()["docs"]) == 1


@pytest.mark.parametrize("body", [{"question": "收入"}, {"question": "收入", "top_k": None}])
def test_top_k_defaults_to_the_setting(client: FlaskClient, body: dict[str, Any]) -> None:
    assert len(client.post("/", json=body).get_json()["docs"]) == 2


def test_question_without_terms_finds_nothing(client: FlaskClient) -> None:
    body = client.post("/", json={"question": "？！"}).get_json()
    assert (body["docs"], body["hits"], body["idf"]) == ([], [], {})


def test_long_question(client: FlaskClient) -> None:
    question = "专项债务" * 100_000
    assert client.post("/", json={"question": question, "top_k": 1}).get_json()["hits"][0]["title"] == "专项债务"


BAD = {
    "empty": b"",
    "not JSON": b"question=x",
    "cut": b'{"question": "x"',
    "list": b'["question"]',
    "null": b"null",
    "no question": b'{"top_k": 2}',
    "null question": b'{"question": null}',
    "number as question": b'{"question": 5}',
    "list as question": b'{"question": ["x"]}',
    "empty question": b'{"question": ""}',
    "white space": '{"question": " \\n\\t　"}'.encode(),
    "lone surrogate": b'{"question": "\\ud800"}',
    "lone surrogate as key": b'{"\\ud800": 1, "question": "x"}',
    "invalid UTF-8": b'{"question": "\xff\xfe"}',
    "GBK": '{"question": "债务"}'.encode("gbk"),
    "UTF-16": '{"question": "债务"}'.encode("utf-16"),
    "top_k 0": b'{"question": "x", "top_k": 0}',
    "top_k 101": b'{"question": "x", "top_k": 101}',
    "negative top_k": b'{"question": "x", "top_k": -1}',
    "huge top_k": b'{"question": "x", "top_k": 1e400}',
    "fraction as top_k": b'{"question": "x", "top_k": 1.5}',
    "text as top_k": b'{"question": "x", "top_k": "2"}',
    "true as top_k": b'{"question": "x", "top_k": true}',
    "filters no object": b'{"question": "x", "filters": "in_force"}',
    "unknown filter": b'{"question": "x", "filters": {"state": "in_force"}}',
    "unknown status": b'{"question": "x", "filters": {"status": "valid"}}',
    "as_of no date": b'{"question": "x", "filters": {"as_of": "2016-02-30"}}',
    "as_of a number": b'{"question": "x", "filters": {"as_of": 20160101}}',
    "blank issuer": b'{"question": "x", "filters": {"issuer": " "}}',
    "deep": b"[" * 100_000,
}


@pytest.mark.parametrize("data", BAD.values(), ids=BAD.keys())
def test_bad_bodies(client: FlaskClient, data: bytes) -> None:
    answer = client.post("/", data=data)
    assert answer.status_code == 400
    error = answer.get_json()["error"]
    assert error["code"] == "invalid_request"
    assert error["message"]
    assert set(error["allowed"]) == {"question", "top_k", "filters", "explain", "more"}


def test_too_large_a_body(client: FlaskClient) -> None:
    answer = client.post("/", data=b'{"question": "' + b"x" * 2**21 + b'"}')
    assert answer.status_code == 413
    assert answer.get_json()["error"]["code"] == "payload_too_large"


@pytest.mark.parametrize(("method", "path", "status"), [("GET", "/", 405), ("POST", "/nowhere", 404)])
def test_wrong_routes(client: FlaskClient, method: str, path: str, status: int) -> None:
    answer = client.open(path, method=method)
    assert answer.status_code == status
    assert answer.get_json()["error"]["message"]


def test_ready_shows_the_passages(client: FlaskClient) -> None:
    answer = client.get("/readyz")
    assert answer.status_code == 200
    assert answer.get_json()["dependencies"]["index"]["passages"] == 3


def test_without_an_index_it_runs_and_says_what_to_do(settings: Settings) -> None:
    client = create_app(settings).test_client()
    assert client.get("/healthz").status_code == 200
    assert client.get("/readyz").status_code == 503
    answer = client.post("/", json={"question": "债务"})
    assert answer.status_code == 503
    assert answer.headers["Retry-After"]
    assert answer.get_json()["error"]["code"] == "index_unavailable"
    assert "python -m es_index" in answer.get_json()["error"]["message"]
    fill(settings)
    assert client.post("/", json={"question": "债务"}).status_code == 200
    assert client.get("/readyz").status_code == 200
