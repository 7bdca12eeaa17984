"""The operations of the catalogue."""

from __future__ import annotations

from kaireon_api.catalog.bulk import bulk_operation
from kaireon_api.catalog.crud import operations, under_older_name
from kaireon_api.catalog.whole_list import whole_list_operations
from kaireon_api.operation import Operation
from kaireon_application.catalog.creative import CREATIVE
from kaireon_application.catalog.frequency_cap import FREQUENCY_CAP
from kaireon_application.catalog.guardrail import GUARDRAIL
from kaireon_application.catalog.kinds import CATALOGUE_KINDS
from kaireon_application.catalog.offer import OFFER
from kaireon_application.catalog.ranking_profile import RANKING_PROFILE

_RANKING_PROFILES = whole_list_operations(RANKING_PROFILE)

OPERATIONS: tuple[Operation, ...] = (
    *(operation for kind in CATALOGUE_KINDS for operation in operations(kind)),
    bulk_operation(OFFER),
    bulk_operation(CREATIVE),
    *under_older_name(operations(FREQUENCY_CAP), FREQUENCY_CAP.path, "volume-constraints"),
    *_RANKING_PROFILES,
    *under_older_name(_RANKING_PROFILES, RANKING_PROFILE.path, "arbitration-profiles"),
    *whole_list_operations(GUARDRAIL),
)
