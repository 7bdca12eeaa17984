"""The histories of customers as columns, with ids turned into places in the flow's catalogue."""

from __future__ import annotations

from collections.abc import Sequence

from kaireon_application.decisioning.facts import ContactRow, History
from kaireon_core.decisioning.compile import CompiledFlow
from kaireon_core.decisioning.contacts import ContactRows, Contacts, OutcomeRows


def contacts_of(flow: CompiledFlow, histories: Sequence[History]) -> Contacts:
    """Return the history columns of B customers, of outcomes only what the flow looks at."""
    contacts = Contacts(
        recent=_contacts(flow, [history.recent for history in histories]),
        totals=_contacts(flow, [history.totals or [] for history in histories]),
    )
    if not flow.needs.history.outcome_window_ms or not any(history.outcomes for history in histories):
        return contacts
    return Contacts(recent=contacts.recent, totals=contacts.totals, outcomes=_outcomes(flow, histories))


def _contacts(flow: CompiledFlow, histories: Sequence[list[ContactRow]]) -> ContactRows:
    offers, creatives, channels = flow.offer_index, flow.creative_index, flow.channel_index
    return ContactRows.of(
        [
            (
                customer,
                offers.get(offer or "", -1),
                creatives.get(creative or "", -1),
                channels.get(channel or "", -1),
                at_ms,
                count,
            )
            for customer, rows in enumerate(histories)
            for offer, creative, channel, at_ms, count in rows
        ]
    )


def _outcomes(flow: CompiledFlow, histories: Sequence[History]) -> OutcomeRows:
    offers, creatives, channels = flow.offer_index, flow.creative_index, flow.channel_index
    found = [(customer, row) for customer, history in enumerate(histories) for row in history.outcomes]
    return OutcomeRows.of(
        [
            (
                customer,
                offers.get(row[0] or "", -1),
                creatives.get(row[1] or "", -1),
                channels.get(row[2] or "", -1),
                row[3],
            )
            for customer, row in found
        ],
        [row[4] for _, row in found],
        [row[5] for _, row in found],
    )
