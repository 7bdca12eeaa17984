"""Send events again that were sent before: for a consumer that lost them, or a stream that was lost."""

from __future__ import annotations

from datetime import datetime

from kaireon_application.errors import InvalidInput
from kaireon_application.platform.outbox import Outbox


async def republish_events(outbox: Outbox, since: datetime) -> int:
    """Make events sent at or after `since` pending again, with the same ids and in the same order; return how many.

    Only events that the clean-up has not removed yet can be sent again: it keeps them for 24 hours at least.
    Raises `InvalidInput` for an instant without a time zone, `Unavailable` without Postgres.
    """
    if since.tzinfo is None:
        raise InvalidInput.at("since", "name the time zone of the instant, such as 2026-01-31T08:00:00Z")
    return await outbox.republish_since(since)
