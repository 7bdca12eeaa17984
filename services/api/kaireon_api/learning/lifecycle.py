"""What promotions and experiments are made with."""

from __future__ import annotations

from dataclasses import dataclass

from kaireon_application.learning.evidence import EvidenceSources
from kaireon_application.learning.promote_model import PromoteModel
from kaireon_storage.postgres.database import Database
from kaireon_storage.postgres.drift_checks import PostgresDriftChecks
from kaireon_storage.postgres.entities import PostgresEntities
from kaireon_storage.postgres.experiments import PostgresExperimentOutcomes
from kaireon_storage.postgres.off_policy import PostgresOffPolicyEvaluations


@dataclass(frozen=True, slots=True, kw_only=True)
class Lifecycle:
    """Promoting by hand, and what experiments have led to."""

    promote: PromoteModel
    outcomes: PostgresExperimentOutcomes


def build_lifecycle(database: Database, entities: PostgresEntities) -> Lifecycle:
    """Return it, unconnected."""
    evidence = EvidenceSources(
        evaluations=PostgresOffPolicyEvaluations(database), drift_checks=PostgresDriftChecks(database)
    )
    return Lifecycle(
        promote=PromoteModel(entities=entities, evidence=evidence), outcomes=PostgresExperimentOutcomes(database)
    )
