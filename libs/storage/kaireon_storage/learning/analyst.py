"""The analyst over Postgres and scikit-learn, wired once for every engine."""

from __future__ import annotations

from importlib.util import find_spec

from kaireon_application.learning.analysis import Engine
from kaireon_application.learning.analyst import LocalAnalyst
from kaireon_application.learning.segment_analysis import ClusterLearner
from kaireon_storage.learning.content_forest import learn_content
from kaireon_storage.learning.k_means import cluster_leaves, cluster_rows
from kaireon_storage.postgres.analysis_rows import PostgresAnalysisRows
from kaireon_storage.postgres.database import Database
from kaireon_storage.postgres.entities import PostgresEntities


def has_learners() -> bool:
    """Return whether scikit-learn is installed here: the ML worker has it, and whoever shares its environment."""
    return find_spec("sklearn") is not None


def build_analyst(database: Database, engine: Engine, row_limit: int) -> LocalAnalyst:
    """Return an analyst of at most so many rows; without `has_learners` it can do policies only."""
    return LocalAnalyst(
        entities=PostgresEntities(database),
        rows=PostgresAnalysisRows(database),
        clusters=ClusterLearner(cluster=cluster_rows, leaves=cluster_leaves),
        learn_content=learn_content,
        engine=engine,
        row_limit=row_limit,
    )
