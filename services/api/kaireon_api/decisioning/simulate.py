"""POST /simulate: what would be decided, without deciding it."""

from __future__ import annotations

from functools import partial

from kaireon_api.operation import WRITE_ERRORS, Call, Operation, Reply, Role
from kaireon_application.catalog.refusal import refuse
from kaireon_application.customers.segment_members import segment_members
from kaireon_application.decisioning.simulate import Simulate
from kaireon_application.decisioning.simulation import SimulateRequest, Simulation
from kaireon_application.errors import InvalidInput

_BODY_LIMIT = 10 * 1024 * 1024


async def _simulate(call: Call[SimulateRequest]) -> Reply:
    refuse(InvalidInput, call.body.problems())
    engine, entities = call.services.engine, call.services.entities
    simulate = Simulate(
        snapshots=engine.snapshots,
        decide=engine.recommend.decide,
        reading=entities.reading,
        members=partial(segment_members, entities, call.services.schema_rows),
    )
    return Reply(content=await simulate(call.tenant_id, call.body))


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        method="POST",
        path="/api/v1/simulate",
        role=Role.EDITOR,
        handler=_simulate,
        summary="Decide for up to 1,000 customers, listed or of a segment, and record nothing",
        body=SimulateRequest,
        body_limit=_BODY_LIMIT,
        example={
            "flow": {
                "version": 2,
                "nodes": [
                    {"id": "inventory", "type": "inventory"},
                    {"id": "score", "type": "score", "config": {"method": "priority_weighted"}},
                    {"id": "rank", "type": "rank", "config": {"method": "topN"}},
                    {"id": "response", "type": "response"},
                ],
            },
            "customers": [{"customerId": "1045", "attributes": {"basket_value": 42.5}}, {"customerId": "2210"}],
            "channel": "email",
            "limit": 3,
        },
        answers={200: Simulation, **WRITE_ERRORS},
    ),
)
