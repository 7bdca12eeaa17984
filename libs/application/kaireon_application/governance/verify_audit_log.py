"""Check that nobody has changed, removed or slipped in a row of the audit log."""

from __future__ import annotations

from uuid import UUID

import msgspec

from kaireon_application.governance.audit_log import AuditLogs, AuditQuery, AuditRow
from kaireon_core.governance.audit_chain import GENESIS, BrokenReason, broken_reason

# What is hashed between two looks at the storage: short, because a process that decides must not stand still.
_BATCH = 100


class ChainReport(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """What a check has found: `scanned` rows were looked at, `verified` of them before the first broken one.

    `brokenAtId` is the row at which the chain does not hold; null when it is intact, and when nothing is left of it.
    """

    intact: bool
    verified: int
    total: int
    scanned: int
    broken_at_id: UUID | None = None
    broken_reason: BrokenReason | None = None


async def verify_audit_log(logs: AuditLogs, tenant_id: UUID, limit: int) -> ChainReport:
    """Check the newest `limit` rows by hash, and that no row is missing from the whole log or stands after its end."""
    total = await logs.total(tenant_id, AuditQuery(limit=1))
    check = _Check(logs, tenant_id)
    await check.run(limit)
    return ChainReport(
        intact=check.reason is None,
        verified=check.verified,
        total=total,
        scanned=check.scanned,
        broken_at_id=check.broken_at,
        broken_reason=check.reason,
    )


class _Check:
    """One walk along the chain, up to the first row at which it breaks."""

    def __init__(self, logs: AuditLogs, tenant_id: UUID) -> None:
        self._logs = logs
        self._tenant_id = tenant_id
        self.scanned = 0
        self.verified = 0
        self.broken_at: UUID | None = None
        self.reason: BrokenReason | None = None

    async def run(self, limit: int) -> None:
        head = await self._logs.head(self._tenant_id)
        beginning = head.trimmed_hash or GENESIS
        start = max(head.trimmed_through, head.sequence - limit)
        is_whole = start == head.trimmed_through
        before = [] if is_whole else await self._logs.span(self._tenant_id, start - 1, start, 1)
        previous = before[0] if before else None
        # The first row of all follows nothing, or what retention has cut off; without the row before the walk its first
        # link is not known.
        previous_hash = previous.integrity_hash if previous else (beginning if is_whole else None)
        last, sequence = previous, start
        while self.reason is None and (rows := await self._span(sequence, head.sequence)):
            for row in rows:
                if not self._holds(row, previous_hash):
                    return
                last, previous_hash, sequence = row, row.integrity_hash, row.sequence
        if (last.integrity_hash if last else beginning) != head.integrity_hash:
            self._break(last.id if last else None, BrokenReason.CHAIN_LINK_MISMATCH)
        elif (misplaced := await self._logs.first_misplaced(self._tenant_id)) is not None:
            self._break(misplaced, BrokenReason.CHAIN_LINK_MISMATCH)

    async def _span(self, after: int, through: int) -> list[AuditRow]:
        return await self._logs.span(self._tenant_id, after, through, _BATCH)

    def _holds(self, row: AuditRow, previous_hash: str | None) -> bool:
        self.scanned += 1
        reason = broken_reason(msgspec.to_builtins(row), previous_hash)
        if reason is not None:
            self._break(row.id, reason)
            return False
        self.verified += 1
        return True

    def _break(self, row_id: UUID | None, reason: BrokenReason) -> None:
        self.broken_at, self.reason = row_id, reason
