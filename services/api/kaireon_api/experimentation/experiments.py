"""Experiments over HTTP."""

from __future__ import annotations

from kaireon_api.catalog.crud import operations
from kaireon_api.operation import ITEM_ERRORS, Call, Operation, Reply, Role
from kaireon_application.experimentation.experiment import EXPERIMENT
from kaireon_application.experimentation.results import ExperimentResults, experiment_results


async def _results(call: Call[None]) -> Reply:
    services = call.services
    return Reply(
        content=await experiment_results(
            services.entities, services.lifecycle.outcomes, call.tenant_id, call.path["id"]
        )
    )


OPERATIONS: tuple[Operation, ...] = (
    *operations(EXPERIMENT),
    Operation(
        method="GET",
        path=f"/api/v1/{EXPERIMENT.path}/{{id}}/results",
        role=Role.VIEWER,
        handler=_results,
        summary="What an experiment has shown so far, with tests that may be looked at any time",
        answers={200: ExperimentResults, **ITEM_ERRORS},
    ),
)
