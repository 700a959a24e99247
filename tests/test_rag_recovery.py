"""Services that go down and come back while rag_server runs on; and that sessions do not leak into each other."""

import pytest

from es_search.app import create_app as create_search
from llm_server.app import create_app as create_llm
from rag_server.app import create_app
from service_kit.settings import Settings
from tests.corpus import index_passages
from tests.llm_fixtures import ScriptedEngine
from tests.rag_fixtures import PATH, QUESTION, ask, with_changes
from tests.servers import free_port, served, wait_until
from tools.drill_sessions import run as drill

TRUE = "专项债务收入应当用于公益性资本支出，不得用于经常性支出[1]。"


def test_search_and_model_recover_without_a_restart(settings: Settings) -> None:
    index_passages(settings)
    search, llm = free_port(), free_port()
    urls = {"search_url": f"http://127.0.0.1:{search}", "llm_url": f"http://127.0.0.1:{llm}"}
    client = create_app(with_changes(settings, **urls)).test_client()

    def mode() -> str:
        response = client.post(PATH, json={"id": "s1", "content": QUESTION})
        mode: str = response.get_json().get("answer_mode", str(response.status_code))
        response.close()
        return mode

    for _ in range(2):
        assert mode() == "503"
        with served(create_search(settings), search):
            wait_until(lambda: mode() == "extract", "search is back, the model is not")
            body = ask(client, QUESTION)
            assert "模型服务未就绪" in body["notices"][0]
            with served(create_llm(settings, ScriptedEngine(TRUE)), llm):
                wait_until(lambda: mode() == "generate", "the model is back")
            assert mode() == "extract"


def test_where_no_model_was_configured_none_is_missed(settings: Settings) -> None:
    index_passages(settings)
    with served(create_search(settings)) as url:
        client = create_app(with_changes(settings, search_url=url, llm_port=free_port())).test_client()
        body = ask(client, QUESTION)
    assert (body["answer_mode"], body["notices"]) == ("extract", [])


@pytest.mark.slow
def test_no_canary_is_seen_in_another_session() -> None:
    count = drill(turns=160, sessions=16)
    assert (count.turns, count.leaks) == (160, 0)
    assert count.with_their_own == count.follow_ups > 50
