"""Check afterwards whether answers kept to the caps of contact policies: the objective is that none ever went beyond.

What enforces caps has no part in it. The contacts are counted anew, from the answers themselves.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from datetime import datetime
from typing import Protocol
from uuid import UUID

import msgspec

from kaireon_application.platform.in_turn import in_turn
from kaireon_runtime.logs import Logger

# What is left over is checked by the next tick.
_BUDGET_SECONDS = 15.0


class CapViolation(msgspec.Struct, frozen=True, kw_only=True):
    """How many offers a policy should have kept out of answers, and one of the answers."""

    policy_id: UUID
    rule_type: str
    count: int
    recommendation_id: UUID


class CapCheck(msgspec.Struct, frozen=True, kw_only=True):
    """What a slice of a tenant's answers held, and whether there may be more."""

    violations: Sequence[CapViolation] = ()
    has_more: bool = False


class CapChecks(Protocol):
    """Checks the answers that were given since the last check, each once."""

    async def check(self, tenant_id: UUID, now: datetime) -> CapCheck:
        """Check a tenant's next answers, some thousand, and count what it finds. Raises `KaireonError`."""
        ...


async def check_caps(
    checks: CapChecks, tenant_ids: Sequence[UUID], now: datetime, clock: Callable[[], float], log: Logger
) -> tuple[int, tuple[str, ...]]:
    """Check what is new of every tenant; return how many offers went beyond a cap, and which tenants failed.

    `clock` tells seconds. Each policy that was broken is a line in the log, without a word about customers.
    """
    end, count = clock() + _BUDGET_SECONDS, 0

    async def check(tenant_id: UUID) -> bool:
        nonlocal count
        found = await checks.check(tenant_id, now)
        for violation in found.violations:
            count += violation.count
            log.error(
                "answers went beyond a cap",
                tenantId=str(tenant_id),
                policyId=str(violation.policy_id),
                ruleType=violation.rule_type,
                offers=violation.count,
                recommendationId=str(violation.recommendation_id),
            )
        return found.has_more

    _, failures = await in_turn(tenant_ids, check, lambda: clock() >= end)
    return count, failures
