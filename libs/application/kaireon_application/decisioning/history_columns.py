"""The histories of customers as columns, with ids turned into places in the flow's catalogue."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import numpy as np

from kaireon_application.decisioning.facts import ContactRow, History, MetricValue
from kaireon_core.column import Floats
from kaireon_core.decisioning.compile import CompiledFlow
from kaireon_core.decisioning.contacts import ContactRows, Contacts, OutcomeRows

_NOTHING: MetricValue = (0.0, None, 0)


def contacts_of(flow: CompiledFlow, histories: Sequence[History]) -> Contacts:
    """Return the history columns of B customers, of outcomes only what the flow looks at."""
    contacts = Contacts(
        recent=_contacts(flow, [history.recent for history in histories]),
        totals=_contacts(flow, [history.totals or [] for history in histories]),
    )
    needs = flow.needs.history
    if needs.outcome_window_ms and any(history.outcomes for history in histories):
        contacts = replace(contacts, outcomes=_outcomes(flow, histories))
    if needs.metrics:
        contacts = replace(contacts, metrics={id_: _metric(id_, histories) for id_ in needs.metrics})
    return contacts


def _metric(id_: str, histories: Sequence[History]) -> Floats:
    """Return a metric of B customers; one that a trace does not know is 0, as for a customer who did nothing."""
    return np.array([history.metrics.get(id_, _NOTHING)[0] for history in histories], np.float64)


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
