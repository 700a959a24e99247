"""Every error that Yiju raises on purpose.

    YijuError
    ├── SettingsError
    ├── InvalidRequest
    │   ├── ContextTooLong
    │   └── BadHttp
    ├── PayloadTooLarge
    ├── Unauthorized
    ├── Forbidden
    ├── NotFound
    ├── Conflict
    ├── Overloaded
    ├── DeadlineExceeded
    ├── DependencyDown
    │   ├── ModelUnavailable
    │   ├── IndexUnavailable
    │   └── NoVectors
    ├── VectorsMismatch
    ├── GenerationFailed
    ├── ClientGone
    ├── Stopped
    └── IndexingError
        ├── IndexLocked
        ├── PassagesRejected
        └── UnreadableFile
            └── UnreachableFile

`status` is the HTTP status and `code` the machine-readable name in the JSON body
`{"error": {"code", "message", "allowed"?}}`.
"""

from collections.abc import Mapping
from typing import Any, ClassVar

from service_kit.words import Words


class YijuError(Exception):
    """The root: raised only through its subclasses."""

    status: int = 500
    code: ClassVar[str] = "internal"

    def __init__(
        self,
        zh: str,
        en: str,
        *,
        allowed: Any = None,
        retry_after: float | None = None,
        details: Mapping[str, Any] | None = None,
    ) -> None:
        super().__init__(en)
        self.words = Words(zh, en)
        self.allowed = allowed
        self.retry_after = retry_after
        """Seconds after which the same request may succeed; sent as `Retry-After`."""
        self.details = dict(details or {})
        """Further keys of the error object, such as the two numbers of ContextTooLong."""


class SettingsError(YijuError):
    """The environment holds a `YIJU_*` value that is not allowed; raised at start only."""

    code = "bad_settings"


class InvalidRequest(YijuError):
    """The request's body, path or parameters are not what the route takes."""

    status = 400
    code = "invalid_request"


class ContextTooLong(InvalidRequest):
    """The prompt does not fit into the model's context window, whatever is left out."""

    code = "context_too_long"


class BadHttp(InvalidRequest):
    """The request is refused before any route sees it (wrong method, malformed header): `status` is HTTP's own."""

    code = "bad_http"

    def __init__(self, zh: str, en: str, *, status: int, allowed: Any = None) -> None:
        super().__init__(zh, en, allowed=allowed)
        self.status = status


class PayloadTooLarge(YijuError):
    """The request's body is over the limit."""

    status = 413
    code = "payload_too_large"


class Unauthorized(YijuError):
    """API keys are on and the request carries none of them."""

    status = 401
    code = "unauthorized"


class Forbidden(YijuError):
    """The caller is known, or needs no key, but this route is not for it."""

    status = 403
    code = "forbidden"


class NotFound(YijuError):
    """What the path or an id names does not exist."""

    status = 404
    code = "not_found"


class Conflict(YijuError):
    """The session is busy with another turn."""

    status = 409
    code = "conflict"


class Overloaded(YijuError):
    """The service has as much work as it takes; the request was not begun."""

    status = 429
    code = "overloaded"


class DeadlineExceeded(YijuError):
    """The time that the caller gave (`X-Deadline`) or that a stage may take is over."""

    status = 504
    code = "deadline_exceeded"


class DependencyDown(YijuError):
    """Another service or server that this request needs does not answer."""

    status = 503
    code = "dependency_down"


class ModelUnavailable(DependencyDown):
    """No model is configured, or it is not loaded; the message says how to set one."""

    code = "model_unavailable"


class IndexUnavailable(DependencyDown):
    """The passage index is missing, empty or unusable; the message says how to build it."""

    code = "index_unavailable"


class NoVectors(DependencyDown):
    """The embedder answers, but with no vectors of these texts; of others it may."""


class VectorsMismatch(YijuError):
    """The stored vectors were made by another model than the settings name; the message says what to do."""

    status = 503
    code = "vectors_mismatch"


class GenerationFailed(YijuError):
    """The model broke while it generated: HTTP 200 with `status` 444 on llm_server's `POST /`."""

    status = 500
    code = "generation_failed"


class ClientGone(YijuError):
    """The client hung up before its answer was made: nobody reads this one (499 in metrics, as in nginx)."""

    status = 499
    code = "client_gone"

    def __init__(self) -> None:
        super().__init__("客户端已断开", "The client is gone")


class Stopped(YijuError):
    """The work was stopped on the user's word (`POST /stop`, or by hanging up); what was made of it is kept."""

    status = 499
    code = "stopped"

    def __init__(self) -> None:
        super().__init__("已停止", "Stopped")


class IndexingError(YijuError):
    """es_index can not go on; nothing that was indexed before is lost."""

    code = "indexing_failed"


class IndexLocked(IndexingError):
    """Another es_index process is writing this index."""

    code = "index_locked"


class PassagesRejected(IndexingError):
    """The engine refuses some passages of a commit; the others are stored. `reasons`: what it says, by id."""

    code = "passages_rejected"

    def __init__(self, reasons: Mapping[str, str]) -> None:
        first = next(iter(reasons.values()))
        super().__init__(
            f"索引拒绝了 {len(reasons)} 个段落，例如：{first}",
            f"The index refused {len(reasons)} passages, such as: {first}",
        )
        self.reasons = dict(reasons)


class UnreadableFile(IndexingError):
    """One file holds no passage that can be read; the run goes on without it."""

    code = "unreadable_file"


class UnreachableFile(UnreadableFile):
    """The file system does not give one file or directory: what it holds is not known."""
