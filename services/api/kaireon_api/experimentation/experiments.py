"""Experiments over HTTP."""

from __future__ import annotations

from kaireon_api.catalog.crud import operations
from kaireon_api.operation import Operation
from kaireon_application.experimentation.experiment import EXPERIMENT

OPERATIONS: tuple[Operation, ...] = operations(EXPERIMENT)
