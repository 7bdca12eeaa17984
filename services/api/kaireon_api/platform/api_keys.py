"""API keys over HTTP."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Annotated, Any
from uuid import UUID

import msgspec
from msgspec import Meta

from kaireon_api.operation import Call, Operation, Reply, Role
from kaireon_api.pagination import pagination_of
from kaireon_application.catalog.forms import Pagination
from kaireon_application.platform.api_key import (
    ApiKey,
    IssuedApiKey,
    KeyRole,
    NewApiKey,
    create_api_key,
    revoke_api_key,
)
from kaireon_application.platform.cursor import decode_cursor

_WARNING = "Store this key now: it is shown only once."


class _Wire(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    pass


class ApiKeyView(_Wire, frozen=True, kw_only=True):
    """A key as it is listed."""

    id: UUID
    name: str
    role: KeyRole
    prefix: str
    scopes: tuple[str, ...]
    expires_at: datetime | None
    last_used_at: datetime | None
    created_at: datetime


class CreatedApiKey(_Wire, frozen=True, kw_only=True):
    """A new key; `key` is shown this once."""

    id: UUID
    name: str
    role: KeyRole
    key: str
    prefix: str
    scopes: tuple[str, ...]
    expires_at: datetime | None
    created_at: datetime
    warning: str


class ApiKeyList(_Wire, frozen=True, kw_only=True):
    """Keys that are not revoked, newest first."""

    data: tuple[ApiKeyView, ...]
    total: int
    pagination: Pagination


class ApiKeyListQuery(_Wire, frozen=True, kw_only=True):
    """Which part of the list."""

    limit: Annotated[int, Meta(ge=1, le=100)] = 25
    cursor: str | None = None


class Revocation(_Wire, frozen=True, kw_only=True):
    """Why a key ends."""

    reason: Annotated[str, Meta(max_length=1000)] | None = None


async def _create(call: Call[NewApiKey]) -> Reply:
    services = call.services
    issued = await create_api_key(
        services.api_keys,
        call.tenant_id,
        call.body,
        pepper=services.settings.api_key_pepper.get_secret_value(),
        now=datetime.now(UTC),
        granted_by=KeyRole(call.principal.role.value),
        actor=call.actor,
    )
    return Reply(content=_created(issued), status=201)


async def _list(call: Call[Any]) -> Reply:
    query: ApiKeyListQuery = call.params
    page = await call.services.api_keys.page(call.tenant_id, limit=query.limit, after=decode_cursor(query.cursor, UUID))
    pagination = pagination_of(page.total, query.limit, page.keys[-1].id if page.has_more else None)
    return Reply(
        content=ApiKeyList(data=tuple(_view(key) for key in page.keys), total=page.total, pagination=pagination)
    )


async def _revoke(call: Call[Revocation]) -> Reply:
    services, id_ = call.services, call.path["id"]
    await revoke_api_key(services.api_keys, call.tenant_id, id_, call.body.reason, actor=call.actor)
    return Reply(status=204)


def _view(key: ApiKey) -> ApiKeyView:
    return msgspec.convert(key, ApiKeyView, from_attributes=True)


def _created(issued: IssuedApiKey) -> CreatedApiKey:
    record = issued.record
    return CreatedApiKey(
        id=record.id,
        name=record.name,
        role=record.role,
        key=issued.text,
        prefix=record.prefix,
        scopes=record.scopes,
        expires_at=record.expires_at,
        created_at=record.created_at,
        warning=_WARNING,
    )


OPERATIONS = (
    Operation(
        method="POST",
        path="/api/v1/api-keys",
        role=Role.ADMIN,
        handler=_create,
        summary="Create an API key; it is shown only in this answer.",
        body=NewApiKey,
        example={"name": "storefront", "role": "viewer"},
        answers={201: CreatedApiKey},
    ),
    Operation(
        method="GET",
        path="/api/v1/api-keys",
        role=Role.ADMIN,
        handler=_list,
        summary="List the API keys that are not revoked, newest first.",
        query=ApiKeyListQuery,
        answers={200: ApiKeyList},
    ),
    Operation(
        method="DELETE",
        path="/api/v1/api-keys/{id}",
        role=Role.ADMIN,
        handler=_revoke,
        summary="Revoke an API key; every process refuses it within a second.",
        body=Revocation,
        is_body_optional=True,
        example={"reason": "rotated"},
        answers={204: None},
    ),
)
