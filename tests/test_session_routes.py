"""rag_server's routes over sessions, trail and feedback; with several rag_servers on one Redis."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest
from flask.testing import FlaskClient
from pydantic import SecretStr
from redis import Redis
from werkzeug.test import TestResponse

from es_search.app import create_app as create_search
from rag_server.app import create_app
from service_kit.settings import Settings
from tests.corpus import index_passages
from tests.redis_server import redis_url
from tests.servers import served

PATH = "/get_bot_response"
ELSEWHERE = {"environ_base": {"REMOTE_ADDR": "10.0.0.8"}}


@pytest.fixture
def wired(settings: Settings) -> Iterator[Settings]:
    index_passages(settings)
    with served(create_search(settings)) as url:
        yield settings.model_copy(update={"search_url": url, "answer": "extract"})


@pytest.fixture
def client(wired: Settings) -> FlaskClient:
    return create_app(wired).test_client()


class Caller:
    """One user of a server with API keys."""

    def __init__(self, client: FlaskClient, key: str) -> None:
        self.client, self.headers = client, {"Authorization": f"Bearer {key}"}

    def __call__(self, method: str, path: str, body: Any = None) -> TestResponse:
        return self.client.open(path, method=method, json=body, headers=self.headers)

    def ask(self, session: Any, content: str) -> TestResponse:
        return self("POST", PATH, {"id": session, "content": content})


@pytest.fixture
def callers(wired: Settings) -> tuple[Caller, Caller]:
    keys = {"api_keys": SecretStr("k1,k2"), "admin_keys": SecretStr("chief")}
    client = create_app(wired.model_copy(update=keys)).test_client()
    return Caller(client, "k1"), Caller(client, "k2")


def ask(client: FlaskClient, content: str, session: Any = "s1") -> dict[str, Any]:
    response = client.post(PATH, json={"id": session, "content": content})
    assert response.status_code == 200, response.text
    body: dict[str, Any] = response.get_json()
    return body


class TestWithKeys:
    def test_a_session_is_its_keys_and_404_for_any_other(self, callers: tuple[Caller, Caller]) -> None:
        mine, theirs = callers
        assert mine.ask(7, "什么是一般债务？").status_code == 200
        for answer in (
            theirs.ask(7, "它应当通过什么偿还？"),
            theirs.ask(7, "清空对话历史"),
            theirs("GET", "/sessions/7"),
            theirs("PATCH", "/sessions/7", {"title": "名"}),
            theirs("DELETE", "/sessions/7"),
        ):
            assert (answer.status_code, answer.get_json()["error"]["code"]) == (404, "not_found")
        assert mine.ask(7, "它应当通过什么偿还？").get_json()["new_query"] == "一般债务应当通过什么偿还？"

    def test_create_list_read_rename_delete(self, callers: tuple[Caller, Caller]) -> None:
        mine, theirs = callers
        made = mine("POST", "/sessions")
        session = made.get_json()["id"]
        assert (made.status_code, len(session) >= 32) == (201, True)
        answer = mine.ask(session, "什么是一般债务？").get_json()["response"]
        assert mine("PATCH", f"/sessions/{session}", {"title": " 债务 "}).get_json()["title"] == "债务"
        (listed,) = mine("GET", "/sessions").get_json()["sessions"]
        assert (listed["id"], listed["title"], listed["messages_count"]) == (session, "债务", 2)
        assert mine("GET", f"/sessions/{session}").get_json()["messages"] == [
            {"role": "user", "content": "什么是一般债务？"},
            {"role": "assistant", "content": answer},
        ]
        assert theirs("GET", "/sessions").get_json() == {"sessions": []}
        assert mine("DELETE", f"/sessions/{session}").status_code == 204
        assert mine("GET", f"/sessions/{session}").status_code == 404

    @pytest.mark.parametrize("limit", ["0", "1001", "²", "-1", "1" * 5000])
    def test_a_limit_that_is_none_is_a_400(self, callers: tuple[Caller, Caller], limit: str) -> None:
        answer = callers[0]("GET", f"/sessions?limit={limit}")
        assert (answer.status_code, answer.get_json()["error"]["code"]) == (400, "invalid_request")

    def test_feedback_is_for_ones_own_answers(self, callers: tuple[Caller, Caller]) -> None:
        mine, theirs = callers
        trace_id = mine.ask(7, "什么是一般债务？").get_json()["trace_id"]
        said = {"trace_id": trace_id, "score": 1, "comment": "对"}
        assert theirs("POST", "/feedback", said).status_code == 404
        assert mine("POST", "/feedback", said).status_code == 200
        chief = Caller(mine.client, "chief")
        assert chief("GET", "/trail").get_json()[0]["feedback"] == {"score": 1.0, "comment": "对"}


class TestWithoutKeys:
    def test_a_session_is_reached_by_its_id_and_never_listed(self, client: FlaskClient) -> None:
        ask(client, "什么是一般债务？", "甲/乙 7")
        assert client.get("/sessions/甲/乙 7").get_json()["title"] == "什么是一般债务？"
        refused = client.get("/sessions")
        assert (refused.status_code, refused.get_json()["error"]["code"]) == (403, "forbidden")

    def test_an_id_of_two_lines_is_reached_as_any_other(self, client: FlaskClient) -> None:
        missing = client.get("/sessions/a%0Ab")
        assert (missing.status_code, missing.get_json()["error"]["message"]) == (404, "没有这个会话")
        ask(client, "什么是一般债务？", "a\nb")
        assert client.get("/sessions/a%0Ab").get_json()["id"] == "a\nb"
        assert client.delete("/sessions/a%0Ab").status_code == 204

    def test_a_session_that_nobody_began_is_404(self, client: FlaskClient) -> None:
        for method in ("GET", "DELETE"):
            assert client.open("/sessions/nobody", method=method).status_code == 404

    @pytest.mark.parametrize(
        ("method", "path", "body"),
        [
            ("POST", "/sessions", {"title": ""}),
            ("POST", "/sessions", {"title": "x" * 201}),
            ("PATCH", "/sessions/s1", {}),
            ("PATCH", "/sessions/s1", {"title": "  "}),
            ("POST", "/feedback", {"score": 1}),
            ("POST", "/feedback", {"trace_id": "t", "score": "good"}),
            ("POST", "/feedback", {"trace_id": "t", "score": 6}),
            ("POST", "/feedback", {"trace_id": "t", "score": 1, "comment": "x" * 2001}),
            ("GET", "/trail?since=yesterday", None),
            ("GET", "/history.json?until=nan", None),
        ],
    )
    def test_bad_input_is_a_400_that_says_what_is_allowed(
        self, client: FlaskClient, method: str, path: str, body: Any
    ) -> None:
        ask(client, "什么是一般债务？")
        answer = client.open(path, method=method, json=body)
        assert (answer.status_code, bool(answer.get_json()["error"]["allowed"])) == (400, True)

    def test_feedback_on_nothing_is_404(self, client: FlaskClient) -> None:
        assert client.post("/feedback", json={"trace_id": "none", "score": 1}).status_code == 404


class TestTrailRoutes:
    def test_filters(self, client: FlaskClient) -> None:
        ask(client, "什么是一般债务？", "a")
        ask(client, "什么是专项债务？", "b")
        for path, found in (
            ("/history.json", 2),
            ("/history.json?session=a", 1),
            ("/history.json?since=2999-01-01", 0),
            ("/history.json?since=2020-01-01T00:00:00+08:00&until=2999-01-01", 2),
            ("/trail?session=b&since=0", 1),
            ("/trail?until=1", 0),
        ):
            assert len(client.get(path).get_json()) == found, path

    @pytest.mark.parametrize("path", ["/history.json", "/trail"])
    @pytest.mark.parametrize(
        "caller", [ELSEWHERE, {"headers": {"X-Forwarded-For": "10.0.0.8"}}, {"headers": {"Host": "evil.example"}}]
    )
    def test_it_is_for_this_machine_only(self, client: FlaskClient, path: str, caller: dict[str, Any]) -> None:
        assert client.get(path, **caller).status_code == 403

    @pytest.mark.parametrize("path", ["/history.json", "/trail"])
    def test_no_page_from_elsewhere_may_read_it(self, client: FlaskClient, path: str) -> None:
        response = client.get(path, headers={"Origin": "http://page"})
        assert "Access-Control-Allow-Origin" not in response.headers

    def test_an_admin_key_opens_it_from_anywhere(self, callers: tuple[Caller, Caller]) -> None:
        client = callers[0].client
        status = {
            key: client.get("/history.json", headers={"Authorization": f"Bearer {key}"}, **ELSEWHERE).status_code
            for key in ("chief", "k1")
        }
        assert status == {"chief": 200, "k1": 403}


class TestSeveralServers:
    @pytest.fixture
    def two(self, wired: Settings, tmp_path: Path) -> Iterator[tuple[FlaskClient, FlaskClient]]:
        with redis_url(tmp_path) as url:
            with Redis.from_url(url) as redis:
                redis.flushdb()
            apart = (tmp_path / "one", tmp_path / "two")
            settings = [wired.model_copy(update={"sessions": SecretStr(url), "data": data}) for data in apart]
            one, two = (create_app(one) for one in settings)
            yield one.test_client(), two.test_client()

    def test_any_server_goes_on_with_any_session(self, two: tuple[FlaskClient, FlaskClient]) -> None:
        ask(two[0], "什么是一般债务？")
        assert ask(two[1], "它应当通过什么偿还？")["new_query"] == "一般债务应当通过什么偿还？"
        assert two[1].post(PATH, json={"id": "s1", "content": "清空对话历史"}).text == "已清空"
        assert ask(two[0], "它应当通过什么偿还？")["new_query"] == "它应当通过什么偿还？"

    def test_any_server_exports_all_and_takes_feedback(self, two: tuple[FlaskClient, FlaskClient]) -> None:
        first = ask(two[0], "什么是一般债务？")
        ask(two[1], "什么是专项债务？", "s2")
        said = two[1].post("/feedback", json={"trace_id": first["trace_id"], "score": -1})
        assert said.status_code == 200
        for server in two:
            assert [one["feedback"] for one in server.get("/trail").get_json()] == [
                {"score": -1.0, "comment": None},
                None,
            ]

    def test_redis_is_named_in_readyz(self, two: tuple[FlaskClient, FlaskClient]) -> None:
        sessions = two[0].get("/readyz").get_json()["dependencies"]["sessions"]
        assert sessions == {"ok": True, "required": True, "store": "redis"}


def test_a_redis_that_is_down_is_a_503_that_names_it(wired: Settings) -> None:
    settings = wired.model_copy(update={"sessions": SecretStr("redis://:hidden@127.0.0.1:9")})
    answer = create_app(settings).test_client().post(PATH, json={"id": 1, "content": "什么是一般债务？"})
    assert (answer.status_code, answer.get_json()["error"]["dependency"]) == (503, "redis")
    assert "Retry-After" in answer.headers
    assert "hidden" not in answer.text + str(settings.printable())
