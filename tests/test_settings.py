"""Settings: from the environment, validated at start, printed without secrets."""

import subprocess
import sys
from pathlib import Path

import pytest

from service_kit.errors import SettingsError
from service_kit.settings import load_settings, unknown_variables


def test_defaults_are_the_documented_ones() -> None:
    settings = load_settings()
    assert [settings.address(s).port for s in ("llm", "stream", "search", "rag")] == [1707, 1708, 1709, 1710]
    assert settings.top_k == 2
    assert settings.engine_name == "none"
    assert settings.languages == ("zh", "en")


def test_values_come_from_the_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YIJU_SEARCH_PORT", "2709")
    monkeypatch.setenv("YIJU_SEARCH_HOST", "0.0.0.0")
    address = load_settings().address("search")
    assert (address.host, address.port, address.url) == ("0.0.0.0", 2709, "http://127.0.0.1:2709")


def test_an_url_is_kept_without_its_last_slash(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YIJU_SEARCH_URL", "http://search:1709/")
    assert load_settings().address("search").url == "http://search:1709"


def test_settings_are_frozen() -> None:
    with pytest.raises(ValueError, match="frozen"):
        load_settings().top_k = 3  # type: ignore[misc]


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("YIJU_RAG_PORT", "70000"),
        ("YIJU_TOP_K", "zero"),
        ("YIJU_ENGINE", "vllm"),
        ("YIJU_KV_TOKENS", "1"),
        ("YIJU_PREFILL_CHUNK", "0"),
        ("YIJU_MAX_BATCH", "0"),
        ("YIJU_COMPUTE_THREADS", "-1"),
        ("YIJU_LLM_URL", "localhost:1707"),
        ("YIJU_DEVICE", "gpu0"),
        ("YIJU_MODEL_LANGS", "zh,fr"),
    ],
)
def test_a_bad_value_is_refused_by_name(monkeypatch: pytest.MonkeyPatch, name: str, value: str) -> None:
    monkeypatch.setenv(name, value)
    with pytest.raises(SettingsError, match=name):
        load_settings()


def test_secrets_are_never_printed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YIJU_API_KEYS", "alpha-secret,beta-secret")
    settings = load_settings()
    assert settings.accepted_keys == ("alpha-secret", "beta-secret")
    assert "secret" not in repr(settings.printable())
    assert "secret" not in repr(settings)


def test_a_bad_secret_is_not_echoed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YIJU_RAG_PORT", "hunter2")
    with pytest.raises(SettingsError) as caught:
        load_settings()
    assert "hunter2" not in caught.value.words.en


def test_a_secret_may_lie_in_a_file(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "key").write_text("from-file\n")
    monkeypatch.setenv("YIJU_API_KEYS_FILE", str(tmp_path / "key"))
    assert load_settings().own_key == "from-file"


@pytest.mark.parametrize("blank", ["", "\n", " , "])
def test_a_blank_secret_is_refused_never_taken_for_none(
    monkeypatch: pytest.MonkeyPatch, tmp_path: Path, blank: str
) -> None:
    (tmp_path / "key").write_text(blank)
    monkeypatch.setenv("YIJU_API_KEYS_FILE", str(tmp_path / "key"))
    with pytest.raises(SettingsError, match="YIJU_API_KEYS"):
        load_settings()


def test_a_missing_secret_file_is_named(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    monkeypatch.setenv("YIJU_API_KEYS_FILE", str(tmp_path / "gone"))
    with pytest.raises(SettingsError, match="YIJU_API_KEYS_FILE"):
        load_settings()


def test_a_misspelt_name_is_found() -> None:
    environ = {"YIJU_TOPK": "3", "YIJU_TOP_K": "3", "YIJU_API_KEYS_FILE": "x", "PATH": ""}
    assert unknown_variables(environ) == ["YIJU_TOPK"]


@pytest.mark.parametrize(
    ("env", "engine"),
    [({}, "none"), ({"YIJU_MODEL": "some/model"}, "batch"), ({"YIJU_OPENAI_URL": "http://x/v1"}, "openai")],
)
def test_the_engine_follows_from_what_is_set(monkeypatch: pytest.MonkeyPatch, env: dict[str, str], engine: str) -> None:
    for name, value in env.items():
        monkeypatch.setenv(name, value)
    assert load_settings().engine_name == engine


def test_smollm2_is_not_presented_as_speaking_chinese(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("YIJU_MODEL", "smollm2")
    assert load_settings().languages == ("en",)
    monkeypatch.setenv("YIJU_MODEL_LANGS", "zh,en")
    assert load_settings().languages == ("zh", "en")


def test_no_service_loads_torch_without_a_model() -> None:
    code = """
import sys
from service_kit.settings import load_settings
from llm_server.app import create_app
import llm_stream_server.app, es_search.app, rag_server.app
create_app(load_settings())
heavy = {"torch", "transformers"} & set(sys.modules)
assert not heavy, heavy
"""
    subprocess.run([sys.executable, "-c", code], check=True, timeout=60)
