"""Why a candidate has a stand-in for the score of its model."""

from __future__ import annotations

from enum import StrEnum
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

# One code per candidate: 0 where the score is the model's own, else the place in `FALLBACK_REASONS`, counted from 1.
Fallbacks: TypeAlias = NDArray[np.int8]
NO_FALLBACK = 0


class FallbackReason(StrEnum):
    """What kept a model from scoring.

    All but the first two are an external endpoint's; an imported graph has `malformed`, `timeout` and `error` as well.
    """

    NOT_READY = "not_ready"
    ONNX_RUNTIME_MISSING = "onnx_runtime_missing"
    MISSING = "missing"
    MALFORMED = "malformed"
    DUPLICATE = "duplicate"
    HTTP_STATUS = "http_status"
    TIMEOUT = "timeout"
    CONNECTION = "connection"
    TLS = "tls"
    REDIRECT = "redirect"
    TOO_LARGE = "too_large"
    NOT_JSON = "not_json"
    MAPPING = "mapping"
    BREAKER_OPEN = "breaker_open"
    BLOCKED_ADDRESS = "blocked_address"
    SECRET = "secret"  # noqa: S105 - the secret could not be had
    # What raised an error; and of shadows only, what had not answered when the active model's scores were in.
    ERROR = "error"
    LATE = "late"

    @property
    def code(self) -> int:
        """The number that stands for it in a column."""
        return FALLBACK_REASONS.index(self) + 1


# The order is that of the codes in stored traces: new reasons are added at the end.
FALLBACK_REASONS: tuple[FallbackReason, ...] = tuple(FallbackReason)


def reason_of(code: int) -> FallbackReason | None:
    """Return what a code stands for, None for a score of the model's own."""
    return None if code == NO_FALLBACK else FALLBACK_REASONS[code - 1]
