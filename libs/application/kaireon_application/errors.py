"""Everything that can go wrong, as one vocabulary: class = code, docstring = default message.

A use case raises these; only a service turns them into HTTP (`kaireon_api.errors` maps code to status).
"""

from __future__ import annotations

from typing import ClassVar

import msgspec


class Problem(msgspec.Struct, frozen=True, kw_only=True, omit_defaults=True):
    """One thing wrong with the caller's input, at a JSON path such as `$.nodes[2].config.scope`."""

    path: str
    message: str


class KaireonError(Exception):
    """Something went wrong."""

    code: ClassVar[str] = "INTERNAL"

    def __init__(self, message: str | None = None, problems: tuple[Problem, ...] = ()) -> None:
        """Take the class's docstring as the message when none is given."""
        self.message = message if message is not None else (type(self).__doc__ or "").strip()
        self.problems = problems
        super().__init__(self.message)


class InvalidInput(KaireonError):
    """The request is not valid."""

    code = "BAD_REQUEST"

    @classmethod
    def at(cls, path: str, message: str) -> InvalidInput:
        """Return the error for one problem at one JSON path."""
        return cls(f"{path}: {message}", (Problem(path=path, message=message),))


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
        return cls(f"{path}: {message}", (Problem(path=path, message=message),))


class Conflict(KaireonError):
    """The state of this thing does not allow this, or it has changed meanwhile."""

    code = "CONFLICT"


class RollbackGuard(Conflict):
    """The rollback guard refused this promotion."""

    code = "rollback_guard"


class TrainingNotSupported(Conflict):
    """This type of model is not trained here."""

    code = "training_not_supported"


class IdempotencyInProgress(Conflict):
    """The first request with this idempotency key is still in flight; try again."""

    code = "IDEMPOTENCY_IN_PROGRESS"


class Unprocessable(KaireonError):
    """The request is well formed but cannot be carried out."""

    code = "UNPROCESSABLE"


class IdempotencyMismatch(Unprocessable):
    """This idempotency key was used with another body; use a new key."""

    code = "IDEMPOTENCY_MISMATCH"


class Unavailable(KaireonError):
    """A service that this call cannot do without is down; try again."""

    code = "UNAVAILABLE"


class MlWorkerNotConfigured(Unavailable):
    """ML_WORKER_URL is not configured"""

    code = "UNAVAILABLE"
