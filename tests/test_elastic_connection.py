"""Connections to a real Elasticsearch: TLS and passwords (nginx in front), several hosts, no server."""

import logging
from collections.abc import Iterator
from contextlib import closing
from pathlib import Path

import pytest

from service_kit.errors import DependencyDown, SettingsError
from service_kit.logs import setup_logging
from service_kit.passages import Passage, open_reader, open_writer
from service_kit.settings import Settings, load_settings
from tests.elasticsearch_fixtures import elastic_settings, remove_indices
from tests.nginx_fixtures import API_KEY, PASSWORD, Front, nginx_front
from tests.servers import free_port

DEBT = Passage("专项债务", "专项债务应当通过项目对应的政府性基金收入偿还。")


@pytest.fixture(scope="module")
def filled(elasticsearch_url: str) -> Iterator[Settings]:
    """Settings, without TLS, of an index of one passage."""
    settings = elastic_settings(elasticsearch_url, es_analysis="client", es_retries=0)
    with closing(open_writer(settings)) as writer:
        writer.upsert([DEBT])
        writer.commit()
    yield settings
    remove_indices(settings)


@pytest.fixture(scope="module")
def front(elasticsearch_url: str, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Front]:
    with nginx_front(elasticsearch_url, tmp_path_factory.mktemp("nginx")) as front:
        yield front


def passages(settings: Settings, **changed: object) -> int:
    """How many passages are seen with these settings changed; they go through the checks of settings."""
    values = {name: value for name, value in settings if name.startswith("es_") or name == "search"}
    with closing(open_reader(load_settings(**{**values, **changed}))) as reader:
        return reader.count()


def test_password_and_ca_file(filled: Settings, front: Front) -> None:
    assert passages(filled, es_urls=front.url, es_ca_file=front.ca_file, es_password=PASSWORD) == 1


def test_secrets_from_files(filled: Settings, front: Front, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "password").write_text(PASSWORD + "\n", encoding="utf-8")
    monkeypatch.setenv("YIJU_ES_PASSWORD_FILE", str(tmp_path / "password"))
    with closing(
        open_reader(
            load_settings(
                search="elasticsearch",
                es_index=filled.es_index,
                es_analysis="client",
                es_urls=front.url,
                es_ca_file=front.ca_file,
            )
        )
    ) as reader:
        assert reader.check()["passages"] == 1


def test_api_key_and_fingerprint(filled: Settings, front: Front) -> None:
    changed = {"es_urls": front.url, "es_api_key": API_KEY}
    assert passages(filled, **changed, es_fingerprint=front.fingerprint) == 1
    with pytest.raises(DependencyDown, match="certificate"):
        passages(filled, **changed, es_fingerprint="00" * 32)


def test_wrong_password_says_what_to_check(filled: Settings, front: Front) -> None:
    with pytest.raises(DependencyDown, match="YIJU_ES_PASSWORD"):
        passages(filled, es_urls=front.url, es_ca_file=front.ca_file, es_password="wrong")


def test_unknown_certificate_is_refused(filled: Settings, front: Front) -> None:
    with pytest.raises(DependencyDown, match="YIJU_ES_CA_FILE"):
        passages(filled, es_urls=front.url, es_password=PASSWORD)


def test_missing_ca_file(filled: Settings, front: Front, tmp_path: Path) -> None:
    with pytest.raises(DependencyDown, match="YIJU_ES_CA_FILE"):
        passages(filled, es_urls=front.url, es_ca_file=tmp_path / "none.pem")


def test_one_of_several_hosts_is_enough(filled: Settings) -> None:
    urls = f"http://127.0.0.1:{free_port()},{filled.es_urls}"
    assert passages(filled, es_urls=urls, es_retries=2) == 1


def test_server_down(filled: Settings) -> None:
    with pytest.raises(DependencyDown, match="YIJU_ES_URLS"):
        passages(filled, es_urls=f"http://127.0.0.1:{free_port()}")


@pytest.mark.parametrize("urls", [",", "127.0.0.1:9200", "http://me:secret@127.0.0.1:9200"])
def test_urls_that_are_none(urls: str) -> None:
    with pytest.raises(SettingsError, match="YIJU_ES_URLS"):
        load_settings(es_urls=urls)


def test_its_client_writes_no_line_for_each_request(monkeypatch: pytest.MonkeyPatch) -> None:
    """Two of them would take a tenth of a search's time."""
    monkeypatch.setattr(logging, "basicConfig", lambda **_: None)  # pytest's handlers stay
    setup_logging("search", "INFO")
    assert not logging.getLogger("elastic_transport.transport").isEnabledFor(logging.INFO)
    assert logging.getLogger("elastic_transport.transport").isEnabledFor(logging.WARNING)
