"""What evaluating policies needs, wired."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field

from kaireon_storage.postgres.database import Database
from kaireon_storage.postgres.off_policy import PostgresDecisionLogs, PostgresOffPolicyEvaluations


@dataclass(frozen=True, slots=True, kw_only=True)
class OffPolicy:
    """Where logs and evaluations are kept; `heavy_work` lets one long computation run at a time in a process."""

    logs: PostgresDecisionLogs
    evaluations: PostgresOffPolicyEvaluations
    heavy_work: asyncio.Semaphore = field(default_factory=lambda: asyncio.Semaphore(1))


def build_off_policy(database: Database) -> OffPolicy:
    """Return it, unconnected."""
    return OffPolicy(logs=PostgresDecisionLogs(database), evaluations=PostgresOffPolicyEvaluations(database))
