"""Errors on the wire: one form, one table from code to status."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import msgspec

from kaireon_api.operation import Reply
from kaireon_application.errors import KaireonError
from kaireon_core.problems import Problem

_RETRY_AFTER_SECONDS = 1

STATUS: Mapping[str, int] = {
    "BAD_REQUEST": 400,
    "invalid_transition": 400,
    "UNAUTHORIZED": 401,
    "FORBIDDEN": 403,
    "NOT_FOUND": 404,
    "METHOD_NOT_ALLOWED": 405,
    "CONFLICT": 409,
    "rollback_guard": 409,
    "approval_required": 409,
    "legal_hold": 409,
    "training_not_supported": 409,
    "IDEMPOTENCY_IN_PROGRESS": 409,
    "inputs_expired": 410,
    "PAYLOAD_TOO_LARGE": 413,
    "URI_TOO_LONG": 414,
    "UNSUPPORTED_MEDIA_TYPE": 415,
    "UNPROCESSABLE": 422,
    "IDEMPOTENCY_MISMATCH": 422,
    "insufficient_overlap": 422,
    "insufficient_rewards": 422,
    "evaluation_too_large": 422,
    "no_champion": 422,
    "no_score_node": 422,
    "nothing_to_compare": 422,
    "one_class": 422,
    "too_few_positives": 422,
    "constant_features": 422,
    "unknown_target": 422,
    "unknown_predictor": 422,
    "unknown_time_field": 422,
    "unknown_schema": 422,
    "no_predictors": 422,
    "too_few_rows": 422,
    "no_fields": 422,
    "too_few_creatives": 422,
    "too_few_outcomes": 422,
    "RATE_LIMITED": 429,
    "HEADER_TOO_LARGE": 431,
    "CRON_JOB_FAILED": 500,
    "INTERNAL": 500,
    "UNAVAILABLE": 503,
}

_COMES_BACK = frozenset({"IDEMPOTENCY_IN_PROGRESS", "RATE_LIMITED", "UNAVAILABLE"})


class ErrorDetail(msgspec.Struct, frozen=True, kw_only=True, rename="camel", omit_defaults=True):
    """What went wrong; `details` lists every problem of an invalid body with its JSON path."""

    code: str
    message: str
    status: int
    request_id: str
    details: list[Problem] = []


class ErrorBody(msgspec.Struct, frozen=True, kw_only=True):
    """The body of every answer that is not a success."""

    error: ErrorDetail


class MethodNotAllowed(KaireonError):
    """This path does not take this method."""

    code = "METHOD_NOT_ALLOWED"

    def __init__(self, allowed: tuple[str, ...]) -> None:
        """Say which methods the path takes."""
        super().__init__(f"This path takes {', '.join(allowed)}")
        self.allowed = allowed


class PayloadTooLarge(KaireonError):
    """The body is too large."""

    code = "PAYLOAD_TOO_LARGE"


class PathTooLong(KaireonError):
    """The path and the query string may each have 8 KB."""

    code = "URI_TOO_LONG"


class HeaderTooLarge(KaireonError):
    """Each header may have 16 KB."""

    code = "HEADER_TOO_LARGE"


class UnsupportedMediaType(KaireonError):
    """Send JSON with the header `Content-Type: application/json`."""

    code = "UNSUPPORTED_MEDIA_TYPE"


class RateLimited(KaireonError):
    """Too many requests; slow down."""

    code = "RATE_LIMITED"

    def __init__(self, retry_after_seconds: int) -> None:
        """Say how long to wait."""
        super().__init__(f"Too many requests; try again in {retry_after_seconds} s")
        self.retry_after_seconds = retry_after_seconds


class Unexpected(KaireonError):
    """Something went wrong on our side; quote the requestId when you report it."""


def error_reply(error: KaireonError, request_id: str) -> Reply:
    """Return an error as its answer."""
    status = STATUS.get(error.code, 500)
    detail = ErrorDetail(
        code=error.code, message=error.message, status=status, request_id=request_id, details=list(error.problems)
    )
    return Reply(content=ErrorBody(error=detail), status=status, headers=_headers(error))


def _headers(error: KaireonError) -> dict[str, str]:
    if isinstance(error, MethodNotAllowed):
        return {"allow": ", ".join(error.allowed)}
    if error.code in _COMES_BACK:
        seconds: Any = getattr(error, "retry_after_seconds", _RETRY_AFTER_SECONDS)
        return {"retry-after": str(seconds)}
    if error.code == "UNAUTHORIZED":
        return {"www-authenticate": "Bearer"}
    return {}
