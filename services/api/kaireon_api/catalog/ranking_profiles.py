"""Ranking profiles over HTTP, under their older name too."""

from __future__ import annotations

from dataclasses import replace

from kaireon_api.catalog.whole_list import whole_list_operations
from kaireon_api.operation import Operation
from kaireon_application.catalog.ranking_profile import RANKING_PROFILE

_OLDER_PATH = "arbitration-profiles"


def _older(operation: Operation) -> Operation:
    return replace(
        operation,
        path=operation.path.replace(RANKING_PROFILE.path, _OLDER_PATH),
        summary=f"{operation.summary} (older name)",
    )


_OPERATIONS = whole_list_operations(RANKING_PROFILE)
OPERATIONS: tuple[Operation, ...] = (*_OPERATIONS, *(_older(operation) for operation in _OPERATIONS))
