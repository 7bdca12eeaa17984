"""Who changes something, as the audit log names them."""

from __future__ import annotations

from uuid import UUID

import msgspec


class Actor(msgspec.Struct, frozen=True, kw_only=True):
    """Who: an API key (its id, name and role) with the id of its request, or the system."""

    user_id: str
    user_name: str
    role: str
    request_id: str | None = None


SYSTEM = Actor(user_id="system", user_name="system", role="system")
"""Whatever happens without a request: migrations of defaults, jobs, and the commands of the operator's shell."""


def of_job(job_id: UUID) -> Actor:
    """Return the system as it acts in a job; the job's id stands for the request's."""
    return msgspec.structs.replace(SYSTEM, request_id=str(job_id))
