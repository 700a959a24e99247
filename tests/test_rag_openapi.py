"""`/openapi.json`: complete, valid references, and true of real answers."""

import re
from collections.abc import Iterator
from typing import Any

import jsonschema_rs
import pytest

from service_kit.settings import Settings
from tests.rag_fixtures import PATH, QUESTION, Rag, events_of, rag, searching

TRUE = "专项债务收入应当用于公益性资本支出，不得用于经常性支出[1]。"
ASK = {"messages": [{"role": "user", "content": QUESTION}]}


@pytest.fixture(scope="module")
def served(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Rag]:
    settings = Settings(data=tmp_path_factory.mktemp("openapi"))
    with searching(settings) as wired, rag(wired, TRUE) as found:
        yield found


@pytest.fixture(scope="module")
def spec(served: Rag) -> dict[str, Any]:
    found: dict[str, Any] = served.client.get("/openapi.json").get_json()
    return found


def check(spec: dict[str, Any], schema: dict[str, Any], value: Any) -> None:
    jsonschema_rs.validator_for(schema | {"components": spec["components"]}).validate(value)


def answered(spec: dict[str, Any], path: str, method: str, status: int = 200) -> dict[str, Any]:
    found: dict[str, Any] = spec["paths"][path][method]["responses"][str(status)]["content"]["application/json"]
    return dict(found["schema"])


def test_every_route_is_in_it(served: Rag, spec: dict[str, Any]) -> None:
    rules = {
        re.sub(r"<[^:<>]+:([^<>]+)>", r"{\1}", rule.rule) for rule in served.client.application.url_map.iter_rules()
    }
    assert set(spec["paths"]) == rules
    for path in spec["paths"].values():
        assert all(operation["summary"] for operation in path.values())


@pytest.mark.parametrize("content", [QUESTION, "quantum chromodynamics"])
def test_answers_are_as_it_says(served: Rag, spec: dict[str, Any], content: str) -> None:
    body = {"id": "o", "content": content}
    whole = served.client.post(PATH, json=body)
    check(spec, answered(spec, PATH, "post"), whole.get_json())
    events = spec["paths"][PATH]["post"]["responses"]["200"]["content"]["text/event-stream"]["x-events"]
    for told in events_of(served.client.post(PATH, json=body | {"stream": True}).text):
        check(spec, events[told.name], told.data)
    for path in ("/sessions/o", "/history.json", "/trail", "/readyz", "/healthz", "/v1/models"):
        key = path.replace("/o", "/{session_id}") if path.startswith("/sessions") else path
        check(spec, answered(spec, key, "get"), served.client.get(path).get_json())
    feedback = served.client.post("/feedback", json={"trace_id": whole.get_json()["trace_id"], "score": 1})
    check(spec, answered(spec, "/feedback", "post"), feedback.get_json())
    check(
        spec,
        answered(spec, "/v1/chat/completions", "post"),
        served.client.post("/v1/chat/completions", json=ASK).get_json(),
    )
    check(spec, answered(spec, "/sessions", "post", 201), served.client.post("/sessions").get_json())


def test_a_missing_key_would_be_noticed(served: Rag, spec: dict[str, Any]) -> None:
    body = served.client.post(PATH, json={"id": "o", "content": QUESTION}).get_json()
    del body["verified"]
    with pytest.raises(jsonschema_rs.ValidationError, match="verified"):
        check(spec, answered(spec, PATH, "post"), body)


@pytest.mark.parametrize(
    ("path", "body"), [(PATH, {}), ("/stop", {}), ("/feedback", {}), ("/v1/chat/completions", {"messages": []})]
)
def test_errors_are_as_it_says(served: Rag, spec: dict[str, Any], path: str, body: Any) -> None:
    response = served.client.post(path, json=body)
    assert response.status_code == 400
    check(spec, answered(spec, path, "post", 400), response.get_json())


def test_requests_are_as_it_says(spec: dict[str, Any]) -> None:
    schema = spec["paths"][PATH]["post"]["requestBody"]["content"]["application/json"]["schema"]
    for one in ({"id": 7, "content": "问"}, {"id": "a", "content": "问", "stream": True}):
        check(spec, schema, one)
    with pytest.raises(jsonschema_rs.ValidationError):
        check(spec, schema, {"id": "", "content": "问"})
