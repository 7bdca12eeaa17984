"""The ids that callers look decisions up by."""

from __future__ import annotations

from uuid import UUID

from kaireon_application.customers.outcome_target import decision_id_of

# Matches nothing: what text that is no id is looked for as.
NO_ID = UUID(int=0)


def decision_id(public_id: str) -> UUID:
    """Return the UUID of a recommendation id, `NO_ID` for other text."""
    found = decision_id_of(public_id)
    return UUID(found) if found else NO_ID
