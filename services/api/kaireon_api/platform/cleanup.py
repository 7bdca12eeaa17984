"""Cleaning up for the caller's tenant over HTTP; the scheduled job does it for all, and more of it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import msgspec

from kaireon_api.operation import READ_ERRORS, Call, Limit, Operation, Reply, Role
from kaireon_application.platform.clean_tenant import Cleaned, clean_tenant


class CleanupAnswer(msgspec.Struct, frozen=True, kw_only=True):
    """What was removed."""

    cleaned: Cleaned


async def _clean(call: Call[Any]) -> Reply:
    cleaners = call.services.governance.cleaners
    cleaned = await clean_tenant(cleaners, call.tenant_id, call.actor, datetime.now(UTC))
    return Reply(content=CleanupAnswer(cleaned=cleaned))


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        method="POST",
        path="/api/v1/cleanup",
        role=Role.ADMIN,
        handler=_clean,
        summary="Remove variant assignments that have ended and audit rows past their retention",
        limit=Limit(count=5, seconds=60),
        answers={200: CleanupAnswer, **READ_ERRORS},
    ),
)
