"""Every kind of configured thing, by name: what reads and the audit log have to know of each."""

from __future__ import annotations

from kaireon_application.catalog.guardrail import GUARDRAIL
from kaireon_application.catalog.kind import Document, EntityKind
from kaireon_application.catalog.kinds import CATALOGUE_KINDS
from kaireon_application.catalog.ranking_profile import RANKING_PROFILE
from kaireon_application.customers.schema import SCHEMA
from kaireon_application.customers.segment import SEGMENT
from kaireon_application.decisioning.decision_flow import DECISION_FLOW
from kaireon_application.decisioning.flow_route import FLOW_ROUTE
from kaireon_application.engagement.journey import JOURNEY
from kaireon_application.engagement.run_definition import RUN
from kaireon_application.engagement.trigger import TRIGGER
from kaireon_application.experimentation.experiment import EXPERIMENT
from kaireon_application.learning.algorithm_model import ALGORITHM_MODEL

CONFIGURED_KINDS: dict[str, EntityKind] = {
    kind.name: kind
    for kind in (
        *CATALOGUE_KINDS,
        RANKING_PROFILE,
        GUARDRAIL,
        SCHEMA,
        SEGMENT,
        DECISION_FLOW,
        FLOW_ROUTE,
        EXPERIMENT,
        RUN,
        ALGORITHM_MODEL,
        JOURNEY,
        TRIGGER,
    )
}


def shown(kind: str, document: Document) -> Document:
    """Return a document as anybody may see it: without what its kind keeps to itself."""
    return CONFIGURED_KINDS[kind].shown(document)
