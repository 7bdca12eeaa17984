"""Everything that can go wrong, as one vocabulary: class = code, docstring = default message.

A use case raises these; only a service turns them into HTTP (`kaireon_api.errors` maps code to status).
"""

from __future__ import annotations

from collections.abc import Iterable
from typing import ClassVar, Self

from kaireon_core.problems import Problem

# Every problem is in the details; the message stays one that can be read.
_MAX_TOLD = 10


class KaireonError(Exception):
    """Something went wrong."""

    code: ClassVar[str] = "INTERNAL"

    def __init__(self, message: str | None = None, problems: tuple[Problem, ...] = ()) -> None:
        """Take the class's docstring as the message when none is given."""
        self.message = message if message is not None else (type(self).__doc__ or "").strip()
        self.problems = problems
        super().__init__(self.message)

    @classmethod
    def of(cls, problems: Iterable[Problem]) -> Self:
        """Return the error for these problems; its message tells the first of them."""
        found = tuple(problems)
        return cls("; ".join(f"{problem.path}: {problem.message}" for problem in found[:_MAX_TOLD]), found)


class InvalidInput(KaireonError):
    """The request is not valid."""

    code = "BAD_REQUEST"

    @classmethod
    def at(cls, path: str, message: str) -> InvalidInput:
        """Return the error for one problem at one JSON path."""
        return cls.of([Problem(path=path, message=message)])


class InvalidTransition(InvalidInput):
    """This lifecycle transition is not allowed."""

    code = "invalid_transition"


class Unauthorized(KaireonError):
    """Send a valid API key as `Authorization: Bearer krn_...` or `X-API-Key: krn_...`."""

    code = "UNAUTHORIZED"


class Forbidden(KaireonError):
    """The role of this API key does not allow this call."""

    code = "FORBIDDEN"


class NotFound(KaireonError):
    """There is no such thing in this tenant."""

    code = "NOT_FOUND"

    @classmethod
    def reference(cls, path: str, message: str) -> NotFound:
        """Return the error for a reference inside the body, at its JSON path."""
        return cls.of([Problem(path=path, message=message)])


class InputsExpired(KaireonError):
    """What this decision was made from is not kept any more: its retention is over."""

    code = "inputs_expired"


class Conflict(KaireonError):
    """The state of this thing does not allow this, or it has changed meanwhile."""

    code = "CONFLICT"


class RollbackGuard(Conflict):
    """The rollback guard refused this promotion."""

    code = "rollback_guard"


class LegalHold(Conflict):
    """This may not be deleted: it is on legal hold."""

    code = "legal_hold"


class ApprovalRequired(Conflict):
    """This publication needs an approved request: `POST /approvals` with entityType decisionFlow and action publish."""

    code = "approval_required"


class TrainingNotSupported(Conflict):
    """This type of model is not trained here."""

    code = "training_not_supported"


class IdempotencyInProgress(Conflict):
    """The first request with this idempotency key is still in flight; try again."""

    code = "IDEMPOTENCY_IN_PROGRESS"


class IdempotencyTaken(Conflict):
    """Another request has just used this idempotency key."""


class CapTaken(Conflict):
    """Another decision has just taken what was left of a system-wide cap; decide again."""


class Unprocessable(KaireonError):
    """The request is well formed but cannot be carried out."""

    code = "UNPROCESSABLE"


class NothingToCompare(Unprocessable):
    """There is nothing to compare for drift."""

    code = "nothing_to_compare"


class IdempotencyMismatch(Unprocessable):
    """This idempotency key was used with another body; use a new key."""

    code = "IDEMPOTENCY_MISMATCH"


class Unavailable(KaireonError):
    """A service that this call cannot do without is down; try again."""

    code = "UNAVAILABLE"


class TooSlow(Unavailable):
    """Postgres did not answer in time; try again."""


class Busy(Unavailable):
    """Another request holds what this one needs; try again."""


class NoChampion(Unprocessable):
    """There is no champion."""

    code = "no_champion"


class NoScoreNode(Unprocessable):
    """The flow's draft has no score node."""

    code = "no_score_node"


class MlWorkerNotConfigured(Unavailable):
    """ML_WORKER_URL is not configured"""  # noqa: D415 - the docstring is the answer's message, word for word

    code = "UNAVAILABLE"


class OneClass(Unprocessable):
    """All labelled rows are of one class."""

    code = "one_class"


class TooFewPositives(Unprocessable):
    """There are too few positive rows to learn from."""

    code = "too_few_positives"


class TooFewRows(Unprocessable):
    """There are too few rows to learn from, or to say anything of."""

    code = "too_few_rows"


class ConstantTarget(Unprocessable):
    """The target has the same value in all rows."""

    code = "constant_target"


class ConstantFeatures(Unprocessable):
    """Every selected predictor has the same value in all rows."""

    code = "constant_features"


class UnknownTarget(Unprocessable):
    """The schema has no such target field."""

    code = "unknown_target"


class UnknownPredictor(Unprocessable):
    """A selected predictor is no field of the schema, or not of a type that can be learnt from."""

    code = "unknown_predictor"


class UnknownTimeField(Unprocessable):
    """The schema has no such time field."""

    code = "unknown_time_field"


class UnknownSchema(Unprocessable):
    """There is no schema with this key to train on."""

    code = "unknown_schema"


class NoPredictors(Unprocessable):
    """No predictor is selected."""

    code = "no_predictors"


class UnknownField(InvalidInput):
    """A field that is named is none of the schema's, or not of a type that can be compared."""


class NoFields(Unprocessable):
    """The schema has no field that could be compared."""

    code = "no_fields"


class TooFewCreatives(Unprocessable):
    """There are too few creatives with text that were shown often enough."""

    code = "too_few_creatives"


class TooFewOutcomes(Unprocessable):
    """There are too few outcomes to say anything."""

    code = "too_few_outcomes"


class InsufficientOverlap(Unprocessable):
    """The log shows too little of what the target would choose."""

    code = "insufficient_overlap"


class InsufficientRewards(Unprocessable):
    """The log has too few rewards for an estimate."""

    code = "insufficient_rewards"


class EvaluationTooLarge(Unprocessable):
    """The evaluation takes too long; use fewer decisions."""

    code = "evaluation_too_large"
