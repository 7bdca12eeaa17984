"""From log-odds to probabilities that come true as often as they say: fitted on rows that training has not seen."""

from __future__ import annotations

from collections.abc import Callable
from typing import TypeAlias

import msgspec
import numpy as np
from scipy.special import expit

from kaireon_core.column import Floats

Calibrate: TypeAlias = Callable[[Floats], Floats]


class PlattMap(msgspec.Struct, frozen=True, kw_only=True, tag="platt", tag_field="method", forbid_unknown_fields=True):
    """A sigmoid of the log-odds: 1 / (1 + e^-(slope * raw + intercept)). Platt 1999."""

    slope: float
    intercept: float


class IsotonicMap(
    msgspec.Struct, frozen=True, kw_only=True, tag="isotonic", tag_field="method", forbid_unknown_fields=True
):
    """A rising line through (`points`, `values`), level outside of them. Zadrozny and Elkan 2002."""

    points: tuple[float, ...]
    values: tuple[float, ...]


CalibrationMap: TypeAlias = PlattMap | IsotonicMap


def calibrate_by(map_: CalibrationMap | None) -> Calibrate:
    """Return the function from raw scores to probabilities: the sigmoid where nothing was fitted."""
    if map_ is None:
        # Not 1 / (1 + exp(-x)): numpy's vectorised exp may round a row differently by its place in the array.
        return expit
    if isinstance(map_, PlattMap):
        slope, intercept = map_.slope, map_.intercept
        return lambda raw: expit(slope * raw + intercept)
    points, values = np.array(map_.points), np.array(map_.values)
    return lambda raw: np.interp(raw, points, values)
