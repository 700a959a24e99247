"""What every service has before its first route: errors, ids, limits, keys, health, metrics."""

from concurrent.futures import ThreadPoolExecutor
from threading import Event
from typing import Any, ClassVar

import pytest
from flask import Flask
from flask.testing import FlaskClient
from flask.typing import ResponseReturnValue

from service_kit.errors import DependencyDown, Overloaded
from service_kit.settings import Settings
from service_kit.web import Body, Check, create_base_app, current_deadline, read_body


class Ask(Body):
    allowed: ClassVar = {"question": "a string"}
    question: str


def make_app(settings: Settings, *checks: Check) -> Flask:
    app = create_base_app("rag", settings, checks)

    @app.post("/")
    def ask() -> dict[str, Any]:
        return {"question": read_body(Ask).question}

    @app.get("/breaks")
    def breaks() -> ResponseReturnValue:
        raise RuntimeError("secret detail")

    @app.get("/busy")
    def busy() -> ResponseReturnValue:
        raise Overloaded("忙", "busy", retry_after=7.4)

    @app.get("/left")
    def left() -> dict[str, float]:
        return {"left": current_deadline().remaining(at_most=1000)}

    return app


@pytest.fixture
def client(settings: Settings) -> FlaskClient:
    return make_app(settings).test_client()


def test_a_good_body_is_read_whatever_its_content_type(client: FlaskClient) -> None:
    body = '{"question": "什么是专项债务？", "unknown": 1}'.encode()
    for content_type in ("application/json", "text/plain", None):
        response = client.post("/", data=body, content_type=content_type)
        assert (response.status_code, response.json) == (200, {"question": "什么是专项债务？"})


def test_chinese_is_sent_as_it_is(client: FlaskClient) -> None:
    assert "什么".encode() in client.post("/", json={"question": "什么"}).data


@pytest.mark.parametrize(
    "body",
    [
        b"",
        b"   ",
        b"not json",
        b"[]",
        b"null",
        b'"text"',
        b"{}",
        b'{"question": 1}',
        b'{"question": null}',
        b'{"question": ["a"]}',
        b'{"question": "\xff\xfe"}',
        "什么".encode("gbk"),
        b'{"question": "\\ud800"}',
        b'{"question": "a"',
        b'{"question": NaN}',
    ],
)
def test_a_bad_body_is_a_400_that_says_what_is_allowed(client: FlaskClient, body: bytes) -> None:
    response = client.post("/", data=body)
    assert response.status_code == 400
    error = response.get_json()["error"]
    assert error["code"] == "invalid_request"
    assert error["message"]
    assert error["allowed"] == {"question": "a string"}


def test_deeply_nested_json_is_refused_not_fatal(client: FlaskClient) -> None:
    assert client.post("/", data=b"[" * 100_000).status_code == 400


def test_a_body_over_the_limit_is_a_413(client: FlaskClient) -> None:
    response = client.post("/", data=b'{"question": "' + b"a" * (2 * 1024 * 1024) + b'"}')
    assert response.status_code == 413
    assert response.get_json()["error"]["code"] == "payload_too_large"


def test_errors_speak_the_set_language(settings: Settings) -> None:
    english = make_app(settings.model_copy(update={"lang": "en"})).test_client()
    assert "empty" in english.post("/").get_json()["error"]["message"]
    assert "为空" in make_app(settings).test_client().post("/").get_json()["error"]["message"]


def test_unknown_path_and_method_are_json(client: FlaskClient) -> None:
    assert client.get("/nothing").get_json()["error"]["code"] == "not_found"
    response = client.get("/")
    assert response.status_code == 405
    assert response.get_json()["error"]["allowed"] == ["OPTIONS", "POST"]


def test_an_unexpected_error_shows_nothing_of_itself(client: FlaskClient) -> None:
    response = client.get("/breaks")
    assert response.status_code == 500
    assert b"secret" not in response.data
    assert response.get_json()["error"]["code"] == "internal"


def test_overload_says_when_to_come_back(client: FlaskClient) -> None:
    response = client.get("/busy")
    assert (response.status_code, response.headers["Retry-After"]) == (429, "7")


def test_a_full_service_says_so_and_still_tells_that_it_lives(settings: Settings) -> None:
    app, inside, leave = make_app(load(settings, rag_threads=2)), Event(), Event()

    @app.get("/long")
    def long() -> dict[str, bool]:
        inside.set()
        return {"left": leave.wait(10)}

    def get(path: str) -> int:
        with app.test_client().get(path) as response:
            return response.status_code

    with ThreadPoolExecutor(1) as pool:
        first = pool.submit(get, "/long")
        assert inside.wait(10)
        assert (get("/long"), get("/healthz"), get("/metrics")) == (429, 200, 200)
        leave.set()
        assert first.result(10) == 200
    assert get("/left") == 200


def test_the_request_id_comes_back(client: FlaskClient) -> None:
    assert client.get("/healthz", headers={"X-Request-ID": "abc-1"}).headers["X-Request-ID"] == "abc-1"
    made = client.get("/healthz", headers={"X-Request-ID": "bad id\t"}).headers["X-Request-ID"]
    assert len(made) == 32


def test_the_deadline_is_read_from_its_header(client: FlaskClient) -> None:
    assert 4 < client.get("/left", headers={"X-Deadline": "5"}).get_json()["left"] <= 5
    assert client.get("/left").get_json()["left"] == 1000
    for bad in ("soon", "-1", "0", "nan", "inf"):
        assert client.get("/left", headers={"X-Deadline": bad}).status_code == 400
    assert client.get("/left", headers={"X-Deadline": "0.0000001"}).status_code == 504


def test_other_origins_may_call(client: FlaskClient) -> None:
    response = client.post("/", json={"question": "a"}, headers={"Origin": "http://page"})
    assert response.headers["Access-Control-Allow-Origin"] == "*"
    preflight = client.options("/", headers={"Origin": "http://page", "Access-Control-Request-Method": "POST"})
    assert preflight.status_code == 200


class TestKeys:
    @pytest.fixture
    def client(self, settings: Settings) -> FlaskClient:
        return make_app(load(settings, api_keys="k1,k2")).test_client()

    def test_without_a_key_it_is_401(self, client: FlaskClient) -> None:
        response = client.post("/", json={"question": "a"})
        assert (response.status_code, response.headers["WWW-Authenticate"]) == (401, "Bearer")

    @pytest.mark.parametrize("value", ["Bearer k3", "Bearer", "Basic k1", "k1", "Bearer k1,k2", "Bearer ключ"])
    def test_a_wrong_key_is_401(self, client: FlaskClient, value: str) -> None:
        headers = {"Authorization": value.encode().decode("latin-1")}
        assert client.post("/", json={"question": "a"}, headers=headers).status_code == 401

    @pytest.mark.parametrize("key", ["k1", "k2"])
    def test_each_key_opens(self, client: FlaskClient, key: str) -> None:
        response = client.post("/", json={"question": "a"}, headers={"Authorization": f"Bearer {key}"})
        assert response.status_code == 200

    def test_supervisors_and_preflights_need_no_key(self, client: FlaskClient) -> None:
        for path in ("/healthz", "/readyz", "/metrics"):
            assert client.get(path).status_code == 200
        assert client.options("/", headers={"Origin": "http://page"}).status_code == 200


def load(settings: Settings, **changes: Any) -> Settings:
    return Settings(**(settings.model_dump() | changes))


def test_readiness_names_each_dependency(settings: Settings) -> None:
    def down() -> dict[str, Any]:
        raise DependencyDown("搜索停了", "search is down")

    fine = Check("index", lambda: {"passages": 3})
    ready = make_app(settings, fine, Check("model", down, required=False)).test_client().get("/readyz")
    assert ready.status_code == 200
    assert ready.get_json()["dependencies"]["index"] == {"ok": True, "required": True, "passages": 3}
    assert ready.get_json()["dependencies"]["model"]["message"] == "搜索停了"
    red = make_app(settings, fine, Check("search", down)).test_client().get("/readyz")
    assert (red.status_code, red.headers["Retry-After"]) == (503, "5")


def test_metrics_count_requests_by_route_and_status(client: FlaskClient) -> None:
    client.post("/", json={"question": "a"}).close()  # a request counts when its body has been sent
    client.post("/", data=b"x").close()
    client.get("/nowhere/12345").close()
    text = client.get("/metrics").text
    assert 'yiju_requests_total{route="/",service="rag",status="200"} 1.0' in text
    assert 'yiju_requests_total{route="/",service="rag",status="400"} 1.0' in text
    assert "12345" not in text
    assert 'yiju_in_flight{service="rag"} 1.0' in text
