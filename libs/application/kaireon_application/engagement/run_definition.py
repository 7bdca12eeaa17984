"""Campaigns: runs over a segment that are defined once, and triggered by people or a schedule."""

from __future__ import annotations

from collections.abc import Iterator
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta, Struct

from kaireon_application.catalog.fields import EntityRef, Key, Name, Status, Text
from kaireon_application.catalog.kind import Change, Document, EntityKind, Reference
from kaireon_application.decisioning.run_terms import FrequencyCaps, ResultsFormat
from kaireon_application.engagement.run_schedule import schedule_problems
from kaireon_core.problems import Problem

KIND = "run"
_ScheduleType = Literal["manual", "daily", "weekly", "monthly"]


class FileConfig(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """How results are downloaded unless the caller says otherwise."""

    format: ResultsFormat = ResultsFormat.NDJSON


class NewRunDefinition(Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """A campaign as it is created; `schedule_cron` takes the place of every other form of schedule."""

    key: Key | None = None
    name: Name
    status: Status = "draft"
    description: Text | None = None
    decision_flow_id: EntityRef | None = None
    segment_id: EntityRef
    channel_ids: Annotated[list[EntityRef], Meta(max_length=100)] = []
    limit: Annotated[int, Meta(ge=1, le=50)] = 5
    schedule_type: _ScheduleType = "manual"
    schedule_day_of_week: Annotated[int, Meta(ge=0, le=6)] | None = None
    schedule_day_of_month: Annotated[int, Meta(ge=1, le=28)] | Literal["last_working_day"] | None = None
    schedule_time: Annotated[str, Meta(pattern=r"^([01][0-9]|2[0-3]):[0-5][0-9]$")] = "09:00"
    schedule_timezone: Annotated[str, Meta(min_length=1, max_length=64)] = "UTC"
    schedule_cron: Annotated[str, Meta(min_length=1, max_length=255)] | None = None
    frequency_caps: FrequencyCaps = msgspec.field(default_factory=FrequencyCaps)
    file_config: FileConfig = msgspec.field(default_factory=FileConfig)


def _problems(change: Change) -> Iterator[Problem]:
    for field, message in schedule_problems(change.document, change.caller.at):
        yield change.problem(message, field)


def _references(document: Document) -> Iterator[Reference]:
    for field, kind in (("segmentId", "segment"), ("decisionFlowId", "decision_flow")):
        if document[field] is not None:
            yield Reference(path=(field,), kind=kind)
    for place in range(len(document["channelIds"])):
        yield Reference(path=("channelIds", place), kind="channel")


_EXAMPLE: dict[str, Any] = {
    "name": "Friday offers",
    "key": "friday-offers",
    "segmentId": "adults",
    "status": "active",
    "scheduleType": "weekly",
    "scheduleDayOfWeek": 5,
    "scheduleTime": "09:00",
    "scheduleTimezone": "Europe/Berlin",
    "frequencyCaps": {"maxPerOffer": 10_000},
}
RUN = EntityKind(
    name=KIND,
    noun="run definition",
    path="runs",
    create=NewRunDefinition,
    example=_EXAMPLE,
    references=_references,
    problems=_problems,
)
