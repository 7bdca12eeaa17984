"""The audit log as a file: JSON, CSV, or the report that a SOC 2 auditor asks for."""

from __future__ import annotations

import csv
import io
from collections import Counter
from collections.abc import AsyncGenerator, Callable
from datetime import datetime
from enum import StrEnum
from typing import Any
from uuid import UUID

import msgspec

from kaireon_application.governance.audit_log import AuditAction, AuditLogs, AuditQuery, AuditRow
from kaireon_application.governance.verify_audit_log import verify_audit_log
from kaireon_core.governance.audit_chain import canonical

_PAGE = 100
# A spreadsheet takes a cell that begins so for a formula.
_FORMULA = ("=", "+", "-", "@", "\t", "\r")
_COLUMNS = tuple(field.encode_name for field in msgspec.structs.fields(AuditRow))
_DOCUMENTS = frozenset({"changes", "before", "after"})

# Criteria of the AICPA's Trust Services Criteria (2017), by what an event is about.
CRITERIA = {
    "CC6.1": "Logical access: API keys, tenants and their settings",
    "CC7.2": "Monitoring: overrides of guards and policies, and checks for drift",
    "CC8.1": "Change management: everything that decisions are made from",
}
_ACCESS = frozenset({"apiKey", "tenant", "tenantSettings"})
_MONITORING = frozenset({AuditAction.MANDATORY_OVERRIDE, AuditAction.ROLLBACK_GUARD_BYPASS, AuditAction.DRIFT_EVALUATE})


class ExportFormat(StrEnum):
    """How the file is laid out."""

    JSON = "json"
    CSV = "csv"
    SOC2 = "soc2"


class Export(msgspec.Struct, frozen=True, kw_only=True):
    """Which rows of whose log, and when they were asked for."""

    tenant_id: UUID
    query: AuditQuery
    at: datetime


async def rows_of(logs: AuditLogs, export: Export) -> AsyncGenerator[AuditRow]:
    """Yield the rows of an export, newest first, from a page of them at a time."""
    left, query = export.query.limit, export.query
    while left > 0:
        rows = await logs.page(export.tenant_id, msgspec.structs.replace(query, limit=min(left, _PAGE)))
        for row in rows:
            yield row
        if len(rows) < _PAGE:
            return
        left -= len(rows)
        query = msgspec.structs.replace(query, before=rows[-1].sequence, offset=0)


async def as_json(logs: AuditLogs, export: Export) -> AsyncGenerator[bytes]:
    """Yield `{"exportedAt", "tenantId", "logs", "count"}`, the rows as `GET /audit-logs` answers them."""
    yield b'{"exportedAt":%s,"tenantId":%s,"logs":[' % (_json(export.at), _json(export.tenant_id))
    count = 0
    async for row in rows_of(logs, export):
        yield (b"," if count else b"") + _json(row)
        count += 1
    yield b'],"count":%d}' % count


async def as_csv(logs: AuditLogs, export: Export) -> AsyncGenerator[bytes]:
    """Yield a header and one line per row (RFC 4180); documents are canonical JSON, formulas get an apostrophe."""
    yield _line(_COLUMNS)
    async for row in rows_of(logs, export):
        fields: dict[str, Any] = msgspec.to_builtins(row)
        yield _line([_cell(name, fields[name]) for name in _COLUMNS])


async def as_soc2(logs: AuditLogs, export: Export, verify_limit: int) -> AsyncGenerator[bytes]:
    """Yield the state of the chain, each event with its criterion, and counts by criterion, action, type and actor."""
    integrity = await verify_audit_log(logs, export.tenant_id, verify_limit)
    period = {"startDate": export.query.start_at, "endDate": export.query.end_at}
    head = {"report": "soc2", "generatedAt": export.at, "tenantId": export.tenant_id, "period": period}
    yield _json({**head, "criteria": CRITERIA, "integrity": integrity})[:-1] + b',"events":['
    counts = {name: Counter[str]() for name in ("byCriterion", "byAction", "byEntityType", "byUser")}
    total = 0
    async for row in rows_of(logs, export):
        criterion = criterion_of(row)
        for counter, value in zip(
            counts.values(), (criterion, row.action, row.entity_type, row.user_name), strict=True
        ):
            counter[value] += 1
        yield (b"," if total else b"") + _json(_event(row, criterion))
        total += 1
    yield b'],"summary":%s}' % _json({"total": total, **counts})


def criterion_of(row: AuditRow) -> str:
    """Return the criterion that an event is evidence for."""
    if row.entity_type in _ACCESS:
        return "CC6.1"
    return "CC7.2" if row.action in _MONITORING else "CC8.1"


def _event(row: AuditRow, criterion: str) -> dict[str, Any]:
    entity = {"type": row.entity_type, "id": row.entity_id, "name": row.entity_name, "version": row.entity_version}
    return {
        "sequence": row.sequence,
        "timestamp": row.timestamp,
        "criterion": criterion,
        "action": row.action,
        "entity": entity,
        "actor": {"userId": row.user_id, "userName": row.user_name, "role": row.user_role},
        "requestId": row.request_id,
        "changedFields": list(row.changes),
        "integrityHash": row.integrity_hash,
    }


def _cell(name: str, value: Any) -> str:
    if value is None:
        return ""
    text = canonical(value).decode() if name in _DOCUMENTS else str(value)
    return f"'{text}" if text.startswith(_FORMULA) else text


def _line(cells: list[str] | tuple[str, ...]) -> bytes:
    line = io.StringIO()
    csv.writer(line).writerow(cells)
    return line.getvalue().encode()


_json: Callable[[Any], bytes] = msgspec.json.encode
