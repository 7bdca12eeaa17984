"""What deciding for a group took, in metrics: all of them waited for it together."""

from __future__ import annotations

from collections.abc import Sequence

from kaireon_application.decisioning.answer import stages_of
from kaireon_application.decisioning.decided_customer import DecidedCustomer
from kaireon_runtime.catalogue import (
    COMMIT_GROUP_SIZE,
    CONTACT_POLICY_LATENCY,
    FLOW_LATENCY,
    PIPELINE_DURATION,
    QUALIFICATION_LATENCY,
    RANKING_LATENCY,
    SCORING_LATENCY,
)
from kaireon_runtime.metrics import Metrics


def observe_group(metrics: Metrics, decided: Sequence[DecidedCustomer], spent_ms: float) -> None:
    """Observe how many were decided for, how long everything took, and each stage; forms of a flow take turns."""
    metrics.observe(COMMIT_GROUP_SIZE, len(decided))
    metrics.observe(PIPELINE_DURATION, spent_ms)
    for decisions in {id(each.decisions): each.decisions for each in decided}.values():
        stages = stages_of(decisions)
        metrics.observe(FLOW_LATENCY, sum(decisions.stages_ms.values()))
        metrics.observe(QUALIFICATION_LATENCY, stages.qualification)
        metrics.observe(CONTACT_POLICY_LATENCY, stages.contact_policy)
        metrics.observe(SCORING_LATENCY, stages.scoring)
        metrics.observe(RANKING_LATENCY, stages.ranking)
