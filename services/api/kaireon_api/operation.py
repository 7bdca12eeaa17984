"""An HTTP operation as data: routing, authorization, validation and OpenAPI are all derived from this."""

from __future__ import annotations

from collections.abc import AsyncGenerator, AsyncIterator, Awaitable, Callable
from dataclasses import dataclass, field
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Generic, TypeVar
from uuid import UUID

import msgspec

from kaireon_application.governance.actor import Actor

if TYPE_CHECKING:
    from kaireon_api.services import Services

Body = TypeVar("Body")

# The errors that an operation may answer with, for `Operation.answers`: reading many, reading one, writing.
READ_ERRORS: dict[int, Any] = dict.fromkeys((400, 401, 403, 503))
ITEM_ERRORS: dict[int, Any] = {**READ_ERRORS, 404: None}
WRITE_ERRORS: dict[int, Any] = {**ITEM_ERRORS, 409: None, 413: None, 415: None}


class Role(StrEnum):
    """Who may call: a higher role includes the lower ones; `none` and `cron` stand outside the ladder."""

    VIEWER = "viewer"
    EDITOR = "editor"
    ADMIN = "admin"
    NONE = "none"
    CRON = "cron"


class Limit(msgspec.Struct, frozen=True, kw_only=True):
    """At most `count` requests in any `seconds`."""

    count: int
    seconds: int


class Principal(msgspec.Struct, frozen=True, kw_only=True):
    """Who calls: the API key and what it stands for."""

    tenant_id: UUID
    tenant_key: str
    key_id: UUID
    key_name: str
    role: Role


class Call(msgspec.Struct, Generic[Body], frozen=True, kw_only=True):
    """One request that passed every check: decoded, authorized, within its limits."""

    services: Services
    principal: Principal
    request_id: str
    path: dict[str, str]
    query: dict[str, str]
    headers: dict[str, str]
    body: Body
    params: Any = None
    """The query string decoded as `Operation.query`; None when the operation declares none."""
    client: str = ""
    """The address that the request came from."""
    decode_ms: float = 0.0
    """How long it took to decode the request and check its types."""

    @property
    def tenant_id(self) -> UUID:
        """The caller's tenant."""
        return self.principal.tenant_id

    @property
    def actor(self) -> Actor:
        """The caller as the audit log names them."""
        principal = self.principal
        return Actor(
            user_id=str(principal.key_id),
            user_name=principal.key_name,
            role=principal.role.value,
            request_id=self.request_id,
        )

    @property
    def caller(self) -> str:
        """What tells anonymous customers without a session apart: address and user agent."""
        return f"{self.client}|{self.headers.get('user-agent', '')}"


class Upload(msgspec.Struct, frozen=True, kw_only=True):
    """A body that is no JSON, as it comes: its media type, and its bytes in the pieces in which they arrive.

    Reading on raises `PayloadTooLarge` as soon as there are more than the operation takes.
    """

    media_type: str
    pieces: AsyncIterator[bytes]


class Reply(msgspec.Struct, frozen=True, kw_only=True):
    """What a handler answers; `content` is encoded as JSON unless it is bytes already, `stream` is sent as it comes."""

    content: Any = None
    stream: AsyncGenerator[bytes] | None = None
    status: int = 200
    headers: dict[str, str] = {}
    media_type: str = "application/json"


Handler = Callable[[Call[Any]], Awaitable[Reply]]

# Raises `NotFound` when the id in the path names nothing of this tenant; the call has no body yet.
Finder = Callable[[Call[None]], Awaitable[object]]


@dataclass(frozen=True, slots=True, kw_only=True)
class Operation:
    """One method on one path.

    `body` is the msgspec type of the request body (None: no body), `query` the msgspec type of the query string
    (unknown parameters are ignored), `example` a valid body, `answers` maps each status that can be answered to
    the type of its body (None: the generic error form, or no body for 204). `headers` are the response headers of
    the successful answer, by name, with their meaning, and `media_type` is what it is. `other_forms` says what a 200 is
    as another media type, by that type, where a caller may ask for it. `uploads` says the same of bodies that are no
    JSON, and `upload_schemas` what fields a form has. `limit` holds for each tenant unless RATE_LIMITS names the path.

    An unknown id in the path is answered before anything is said about the body: `find` is asked for it, only once
    the body was found wrong. A handler raises `NotFound` itself in every other case.
    """

    method: str
    path: str
    role: Role
    handler: Handler
    summary: str
    body: Any = None
    query: type | None = None
    example: Any = None
    answers: dict[int, Any] = field(default_factory=dict[int, Any])
    body_limit: int = 1024 * 1024
    is_body_optional: bool = False
    find: Finder | None = None
    media_type: str = "application/json"
    headers: dict[str, str] = field(default_factory=dict[str, str])
    other_forms: dict[str, str] = field(default_factory=dict[str, str])
    uploads: dict[str, str] = field(default_factory=dict[str, str])
    upload_schemas: dict[str, Any] = field(default_factory=dict[str, Any])
    limit: Limit | None = None
