"""The audit log over HTTP: read, checked, exported; it has no way to be written."""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, Literal

import msgspec
from msgspec import Meta

from kaireon_api.operation import READ_ERRORS, WRITE_ERRORS, Call, Operation, Reply, Role
from kaireon_api.pagination import pagination_of
from kaireon_application.catalog.forms import Pagination
from kaireon_application.catalog.instant import parse_instant
from kaireon_application.errors import InvalidInput
from kaireon_application.governance.audit_log import AuditAction, AuditQuery, AuditRow, wire_type
from kaireon_application.governance.export_audit_log import Export, ExportFormat, as_csv, as_json, as_soc2
from kaireon_application.governance.verify_audit_log import ChainReport, verify_audit_log
from kaireon_application.platform.cursor import Offset, decode_cursor

_MOST_VERIFIED = 100_000
_DAY = len("2026-01-31")
_CSV = "text/csv; charset=utf-8"
Reference = Annotated[str, Meta(min_length=1, max_length=255)]


class AuditParameters(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The query string of the list; a cursor takes the place of a page."""

    page: Annotated[int, Meta(ge=1, le=1_000_000)] = 1
    limit: Annotated[int, Meta(ge=1, le=100)] = 50
    cursor: str | None = None
    entity_type: Reference | None = None
    entity_id: Reference | None = None
    action: AuditAction | None = None


class VerifyParameters(msgspec.Struct, frozen=True, kw_only=True):
    """How many of the newest rows are checked."""

    limit: Annotated[int, Meta(ge=1, le=_MOST_VERIFIED)] = 10_000


class ExportParameters(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What is exported: from `startDate` on, and before `endDate`, of which a mere date means the end."""

    format: ExportFormat = ExportFormat.JSON
    start_date: Reference | None = None
    end_date: Reference | None = None
    entity_type: Reference | None = None
    entity_id: Reference | None = None
    action: AuditAction | None = None
    limit: Annotated[int, Meta(ge=1, le=10_000)] = 1_000
    offset: Annotated[int, Meta(ge=0, le=100_000_000)] = 0


class AuditList(msgspec.Struct, frozen=True, kw_only=True):
    """One page of the log, newest first; `logs` is `data` under its older name."""

    data: list[AuditRow]
    logs: list[AuditRow]
    total: int
    page: int
    limit: int
    pagination: Pagination


class IntegrityCheck(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Asks for the whole chain to be checked."""

    action: Literal["verify_integrity"]


class IntegrityAnswer(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What the check found."""

    verified: bool
    records_checked: int
    chain_intact: bool


async def _list(call: Call[None]) -> Reply:
    parameters: AuditParameters = call.params
    after = decode_cursor(parameters.cursor, Offset)
    before = None if after is None else after.count
    query = AuditQuery(
        limit=parameters.limit + 1,
        offset=0 if before is not None else (parameters.page - 1) * parameters.limit,
        before=before,
        entity_type=_wire_type(parameters.entity_type),
        entity_id=parameters.entity_id,
        action=parameters.action,
    )
    logs = call.services.audit_logs
    found = await logs.page(call.tenant_id, query)
    rows, has_more = found[: parameters.limit], len(found) > parameters.limit
    total = await logs.total(call.tenant_id, query)
    pagination = pagination_of(total, parameters.limit, Offset(count=rows[-1].sequence) if has_more else None)
    return Reply(
        content=AuditList(
            data=rows, logs=rows, total=total, page=parameters.page, limit=parameters.limit, pagination=pagination
        )
    )


async def _verify(call: Call[None]) -> Reply:
    parameters: VerifyParameters = call.params
    return Reply(content=await verify_audit_log(call.services.audit_logs, call.tenant_id, parameters.limit))


async def _export(call: Call[None]) -> Reply:
    parameters: ExportParameters = call.params
    now = datetime.now(UTC)
    query = AuditQuery(
        limit=parameters.limit,
        offset=parameters.offset,
        entity_type=_wire_type(parameters.entity_type),
        entity_id=parameters.entity_id,
        action=parameters.action,
        start_at=_instant(parameters.start_date, "startDate", timedelta()),
        end_at=_instant(parameters.end_date, "endDate", timedelta(days=1)),
    )
    logs, export = call.services.audit_logs, Export(tenant_id=call.tenant_id, query=query, at=now)
    streams = {
        ExportFormat.JSON: lambda: as_json(logs, export),
        ExportFormat.CSV: lambda: as_csv(logs, export),
        ExportFormat.SOC2: lambda: as_soc2(logs, export, _MOST_VERIFIED),
    }
    is_csv = parameters.format is ExportFormat.CSV
    name = f"audit-{parameters.format}-{now:%Y-%m-%d}.{'csv' if is_csv else 'json'}"
    return Reply(
        stream=streams[parameters.format](),
        media_type=_CSV if is_csv else "application/json",
        headers={"content-disposition": f'attachment; filename="{name}"'},
    )


async def _check_integrity(call: Call[IntegrityCheck]) -> Reply:
    report = await verify_audit_log(call.services.audit_logs, call.tenant_id, _MOST_VERIFIED)
    return Reply(
        content=IntegrityAnswer(verified=report.intact, records_checked=report.scanned, chain_intact=report.intact)
    )


def _wire_type(entity_type: str | None) -> str | None:
    return None if entity_type is None else wire_type(entity_type)


def _instant(text: str | None, name: str, beyond_day: timedelta) -> datetime | None:
    """Return the instant of a parameter; of a mere date, the one that lies so far behind its beginning."""
    if text is None:
        return None
    instant = parse_instant(text)
    try:
        moved = None if instant is None else instant + (beyond_day if len(text) == _DAY else timedelta())
    except OverflowError:
        moved = None
    if moved is None:
        raise InvalidInput.at(f"query.{name}", "must be an ISO 8601 date or instant")
    return moved


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        method="GET",
        path="/api/v1/audit-logs",
        role=Role.ADMIN,
        handler=_list,
        summary="List who changed what, newest first",
        query=AuditParameters,
        answers={200: AuditList, **READ_ERRORS},
    ),
    Operation(
        method="GET",
        path="/api/v1/audit-logs/verify",
        role=Role.ADMIN,
        handler=_verify,
        summary="Check that no row of the log was changed, removed or slipped in",
        query=VerifyParameters,
        answers={200: ChainReport, **READ_ERRORS},
    ),
    Operation(
        method="GET",
        path="/api/v1/audit-export",
        role=Role.ADMIN,
        handler=_export,
        summary="Download the log as JSON, CSV or a SOC 2 report",
        query=ExportParameters,
        answers={200: dict[str, Any], **READ_ERRORS},
        other_forms={"text/csv": "One line per row, with the columns of docs/reference/audit.md."},
        headers={"Content-Disposition": "A name for the file."},
    ),
    Operation(
        method="POST",
        path="/api/v1/audit-export",
        role=Role.ADMIN,
        handler=_check_integrity,
        summary="Check the chain, as the export's own form of it",
        body=IntegrityCheck,
        example={"action": "verify_integrity"},
        answers={200: IntegrityAnswer, **WRITE_ERRORS},
    ),
)
