"""Every operation of the API, in the order of its documentation."""

from __future__ import annotations

from kaireon_api import probes
from kaireon_api.catalog import operations as catalogue
from kaireon_api.catalog import search
from kaireon_api.customers import customer_data, engagement_health, history, outcomes, schemas, segments
from kaireon_api.decisioning import (
    dashboards,
    decide,
    decision_flows,
    flow_routes,
    narratives,
    recommend,
    runs,
    simulate,
    traces,
)
from kaireon_api.engagement import campaigns, events, journeys, triggers
from kaireon_api.experimentation import experiments
from kaireon_api.governance import approvals, audit_logs, gitops
from kaireon_api.learning import (
    algorithm_models,
    analyses,
    decision_logs,
    drift,
    model_imports,
    model_learning,
    off_policy_evaluations,
)
from kaireon_api.operation import Operation
from kaireon_api.platform import (
    api_keys,
    cleanup,
    cron,
    dead_letters,
    drain_queues,
    interaction_store,
    jobs,
    retention_configs,
    seed_datasets,
    tenant_settings,
)

OPERATIONS: tuple[Operation, ...] = (
    # decisions
    *recommend.OPERATIONS,
    *decide.OPERATIONS,
    *runs.OPERATIONS,
    *campaigns.OPERATIONS,
    *outcomes.OPERATIONS,
    *events.OPERATIONS,
    *traces.OPERATIONS,
    *narratives.OPERATIONS,
    *simulate.OPERATIONS,
    *history.OPERATIONS,
    *engagement_health.OPERATIONS,
    *dashboards.OPERATIONS,
    *decision_flows.OPERATIONS,
    *flow_routes.OPERATIONS,
    # catalogue
    *catalogue.OPERATIONS,
    *search.OPERATIONS,
    *schemas.OPERATIONS,
    *segments.OPERATIONS,
    # engagement
    *journeys.OPERATIONS,
    *triggers.OPERATIONS,
    # models
    *algorithm_models.OPERATIONS,
    *model_learning.OPERATIONS,
    *model_imports.OPERATIONS,
    *analyses.OPERATIONS,
    *decision_logs.OPERATIONS,
    *drift.OPERATIONS,
    *off_policy_evaluations.OPERATIONS,
    *experiments.OPERATIONS,
    # governance
    *audit_logs.OPERATIONS,
    *approvals.OPERATIONS,
    *gitops.OPERATIONS,
    *customer_data.OPERATIONS,
    # platform
    *api_keys.OPERATIONS,
    *tenant_settings.OPERATIONS,
    *interaction_store.OPERATIONS,
    *jobs.OPERATIONS,
    *retention_configs.OPERATIONS,
    *cleanup.OPERATIONS,
    *dead_letters.OPERATIONS,
    *drain_queues.OPERATIONS,
    *seed_datasets.OPERATIONS,
    *cron.OPERATIONS,
    *probes.OPERATIONS,
)
