"""The operations of the catalogue."""

from __future__ import annotations

from kaireon_api.catalog import ranking_profiles
from kaireon_api.catalog.bulk import bulk_operation
from kaireon_api.catalog.crud import operations
from kaireon_api.catalog.whole_list import whole_list_operations
from kaireon_api.operation import Operation
from kaireon_application.catalog.creative import CREATIVE
from kaireon_application.catalog.guardrail import GUARDRAIL
from kaireon_application.catalog.kinds import CATALOGUE_KINDS
from kaireon_application.catalog.offer import OFFER

OPERATIONS: tuple[Operation, ...] = (
    *(operation for kind in CATALOGUE_KINDS for operation in operations(kind)),
    bulk_operation(OFFER),
    bulk_operation(CREATIVE),
    *ranking_profiles.OPERATIONS,
    *whole_list_operations(GUARDRAIL),
)
