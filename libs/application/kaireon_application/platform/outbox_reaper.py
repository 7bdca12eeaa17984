"""Free events that somebody marked as being processed and left."""

from __future__ import annotations

from datetime import datetime, timedelta

from kaireon_application.platform.outbox import Outbox


async def reap_outbox(outbox: Outbox, now: datetime, stuck_after: timedelta) -> int:
    """Make events that have stood in `processing` for longer than `stuck_after` pending again; return how many.

    This release's publisher never uses that status: a claim is a row lock that ends with its connection.
    """
    return await outbox.release_stuck(now - stuck_after)
