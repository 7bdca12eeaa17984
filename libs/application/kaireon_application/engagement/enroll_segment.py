"""The job that enrols everyone in a segment."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable
from contextlib import aclosing
from dataclasses import dataclass
from typing import Any
from uuid import UUID

import msgspec

from kaireon_application.catalog.read_entity import require
from kaireon_application.engagement.enroll import Enroll, require_active
from kaireon_application.engagement.journey import KIND
from kaireon_application.platform.job import JobRun, decode_payload

_BATCH = 1_000


class EnrollSegmentPayload(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Who is to enter what."""

    journey_id: str
    segment_id: str
    attributes: dict[str, Any] = {}


@dataclass(frozen=True, slots=True, kw_only=True)
class EnrollSegment:
    """The use case; safe to run again: who is in the journey already is skipped."""

    enroll: Enroll
    members: Callable[[UUID, str], AsyncGenerator[list[str]]]

    async def __call__(self, run: JobRun) -> dict[str, Any]:
        """Enrol every member, and return the job's result. Raises `NotFound`, `Conflict` for a journey not active."""
        payload, tenant_id = decode_payload(run, EnrollSegmentPayload), run.job.tenant_id
        async with self.enroll.entities.reading(tenant_id) as reader:
            journey = await require(reader, KIND, payload.journey_id)
        require_active(journey)
        enrolled = skipped = 0
        async with aclosing(self.members(tenant_id, payload.segment_id)) as batches:
            async for batch in batches:
                for first in range(0, len(batch), _BATCH):
                    part = await self.enroll.enroll(
                        tenant_id, journey, batch[first : first + _BATCH], payload.attributes
                    )
                    enrolled, skipped = enrolled + part.enrolled, skipped + part.skipped
                    await run.report(enrolled + skipped, None)
        return {"enrolled": enrolled, "skipped": skipped}
