"""The connection to Elasticsearch, and what its failures mean to users."""

import base64
from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import elasticsearch
from elasticsearch import Elasticsearch

from service_kit.errors import DependencyDown, IndexUnavailable
from service_kit.settings import Settings

RETRIED = (429, 502, 503, 504)
"""HTTP statuses after which the same request may succeed; at another node, when there is one."""


def connect(settings: Settings) -> Elasticsearch:
    """A client, which connects at its first request. Nodes are those that the settings name: sniffing is off, since
    the addresses by which nodes know each other are often not ours.

    Raises:
        DependencyDown: the CA file can not be read.
    """
    options: dict[str, Any] = {}
    if settings.es_api_key:
        options["api_key"] = settings.es_api_key.get_secret_value()
    elif settings.es_password:
        # Encoded here: the client itself takes only ASCII.
        user = f"{settings.es_user}:{settings.es_password.get_secret_value()}"
        options["basic_auth"] = base64.b64encode(user.encode()).decode()
    if any(url.startswith("https:") for url in settings.es_hosts):
        if settings.es_ca_file:
            options["ca_certs"] = str(settings.es_ca_file)
        if settings.es_fingerprint:
            options["ssl_assert_fingerprint"] = settings.es_fingerprint
    try:
        return Elasticsearch(
            list(settings.es_hosts),
            request_timeout=settings.es_timeout_s,
            max_retries=settings.es_retries,
            retry_on_timeout=True,
            retry_on_status=RETRIED,
            connections_per_node=2 * settings.search_threads,
            **options,
        )
    except OSError as error:
        raise DependencyDown(f"读不了 YIJU_ES_CA_FILE：{error}", f"YIJU_ES_CA_FILE can not be read: {error}") from None


@contextmanager
def calling(index: str) -> Iterator[None]:
    """Raise what went wrong inside as an error of ours.

    Raises:
        IndexUnavailable: there is no index of this name.
        DependencyDown: Elasticsearch is down, refuses the credentials, or fails; the message says which.
    """
    try:
        yield
    except elasticsearch.SSLError as error:
        raise DependencyDown(
            f"Elasticsearch 的证书不被信任，请检查 YIJU_ES_CA_FILE 或 YIJU_ES_FINGERPRINT：{error.message}",
            f"The certificate of Elasticsearch is not trusted; check YIJU_ES_CA_FILE or YIJU_ES_FINGERPRINT: "
            f"{error.message}",
        ) from None
    except elasticsearch.TransportError as error:
        raise DependencyDown(
            f"连不上 Elasticsearch，请检查它是否在运行、YIJU_ES_URLS 是否正确：{error.message}",
            f"Elasticsearch does not answer; check that it runs and that YIJU_ES_URLS is right: {error.message}",
            retry_after=5,
        ) from None
    except (elasticsearch.AuthenticationException, elasticsearch.AuthorizationException) as error:
        raise DependencyDown(
            f"Elasticsearch 拒绝了凭据（{error.status_code}），请检查 YIJU_ES_USER、YIJU_ES_PASSWORD 或 "
            "YIJU_ES_API_KEY",
            f"Elasticsearch refuses the credentials ({error.status_code}); check YIJU_ES_USER, YIJU_ES_PASSWORD or "
            "YIJU_ES_API_KEY",
        ) from None
    except elasticsearch.UnsupportedProductError:
        raise DependencyDown(
            "YIJU_ES_URLS 上的不是 Elasticsearch 8", "What answers at YIJU_ES_URLS is no Elasticsearch 8"
        ) from None
    except elasticsearch.NotFoundError:
        raise no_index(index) from None
    except elasticsearch.ApiError as error:
        raise DependencyDown(
            f"Elasticsearch 出错（{error.status_code}）：{reason(error)}",
            f"Elasticsearch fails ({error.status_code}): {reason(error)}",
            retry_after=5 if error.status_code in RETRIED else None,
        ) from None


def reason(error: elasticsearch.ApiError) -> str:
    """What the server says, in one line."""
    body = error.body.get("error") if isinstance(error.body, dict) else None
    root = (body.get("root_cause") or [body])[0] if isinstance(body, dict) else {}
    return str(root.get("reason") or error.message)[:300]


def no_index(index: str) -> IndexUnavailable:
    return unavailable(f"Elasticsearch 中还没有索引 {index}", f"There is no index {index} in Elasticsearch yet")


def unavailable(zh: str, en: str) -> IndexUnavailable:
    return IndexUnavailable(f"{zh}，请运行 python -m es_index 目录", f"{en}; run python -m es_index DIR", retry_after=5)
