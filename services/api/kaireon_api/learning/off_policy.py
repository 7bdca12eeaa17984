"""What evaluating policies needs, wired."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass

from kaireon_application.catalog.entities import Entities
from kaireon_application.decisioning.replay_trace import ReplayTrace
from kaireon_application.learning.evaluate_policy import EvaluatePolicy
from kaireon_application.learning.evaluated_traces import TracesAsLog
from kaireon_application.learning.score_rows import ModelScoring
from kaireon_storage.postgres.answered_traces import PostgresAnsweredTraces
from kaireon_storage.postgres.database import Database
from kaireon_storage.postgres.off_policy import PostgresDecisionLogs, PostgresOffPolicyEvaluations


@dataclass(frozen=True, slots=True, kw_only=True)
class OffPolicy:
    """Where logs and evaluations are kept; `uploads` lets one log be checked at a time in a process."""

    logs: PostgresDecisionLogs
    evaluations: PostgresOffPolicyEvaluations
    evaluate: EvaluatePolicy
    uploads: asyncio.Semaphore


def build_off_policy(database: Database, entities: Entities, scoring: ModelScoring, replay: ReplayTrace) -> OffPolicy:
    """Return it, unconnected."""
    logs, evaluations = PostgresDecisionLogs(database), PostgresOffPolicyEvaluations(database)
    traces = TracesAsLog(traces=PostgresAnsweredTraces(database), entities=entities, choose_again=replay)
    evaluate = EvaluatePolicy(
        logs=logs,
        evaluations=evaluations,
        entities=entities,
        scoring=scoring,
        traces=traces,
        heavy_work=asyncio.Semaphore(1),
    )
    return OffPolicy(logs=logs, evaluations=evaluations, evaluate=evaluate, uploads=asyncio.Semaphore(1))
