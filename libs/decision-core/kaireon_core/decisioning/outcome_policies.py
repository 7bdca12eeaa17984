"""Contact policies that wait after what the customer did: outcome_based and category_suppression."""

from __future__ import annotations

from typing import Any

import numpy as np

from kaireon_core.column import Mask
from kaireon_core.decisioning.calendar import DAY_MS
from kaireon_core.decisioning.candidates import Candidates
from kaireon_core.decisioning.history_needs import HistoryNeeds
from kaireon_core.decisioning.policy import AddReason, Policy, PolicyScope
from kaireon_core.decisioning.state import State

# The outcome that is a contact: its rows are among the contacts.
IMPRESSION = "impression"


def compile_outcome_based(
    config: dict[str, Any], scope: PolicyScope, _candidates: Candidates, add_reason: AddReason
) -> Policy:
    """Return the policy: one of these outcomes, inside its own scope, blocks for so many days of 24 h."""
    keys, days = banning_outcomes(config)
    window_ms = round(days * DAY_MS)
    code = add_reason(
        f"blocks: {' or '.join(keys)} was less than {days:g} days ago", {"afterOutcome": keys, "suppressForDays": days}
    )
    is_impression_asked = IMPRESSION in keys

    def apply(state: State) -> None:
        outcomes, since_ms = state.contacts.outcomes, state.request.now_ms - window_ms
        is_blocked: Mask = np.zeros((1, 1), np.bool_)
        if outcomes.at_ms.size:
            counted = np.isin(outcomes.key, keys) & scope.counted(state, outcomes)
            is_blocked = scope.last_ms(state, outcomes, counted) > since_ms
        recent = state.contacts.recent
        if is_impression_asked and recent.at_ms.size:
            last = scope.last_ms(state, recent, scope.counted(state, recent))
            is_blocked = is_blocked | (last > since_ms)
        state.drop(scope.binding(state) & is_blocked, code)

    return Policy(
        covered=scope.covered,
        apply=apply,
        window_ms=window_ms if is_impression_asked else 0,
        history=HistoryNeeds(outcome_window_ms=window_ms),
    )


def banning_outcomes(config: dict[str, Any]) -> tuple[list[str], float]:
    """Return the outcomes that an outcome_based policy waits after, and for how many days; both of its forms."""
    if "afterOutcome" in config and "suppressForDays" in config:
        after = config["afterOutcome"]
        return ([after] if isinstance(after, str) else list(after)), float(config["suppressForDays"])
    return [config["outcomeType"]], float(config["lookbackDays"])


def compile_category_suppression(
    config: dict[str, Any], scope: PolicyScope, candidates: Candidates, add_reason: AddReason
) -> Policy:
    """Return the policy: a response on any offer of a (sub)category blocks the (sub)category's offers for days."""
    field, id_ = suppressed_category(config)
    offers = candidates.catalogue.offers
    in_category = np.array([*(offer.body.get(field) == id_ for offer in offers), False], np.bool_)
    is_member = in_category[candidates.offer][None, :]
    days = float(config["suppressionDays"])
    window_ms = round(days * DAY_MS)
    names = ("categoryId", "subCategoryId", "suppressionDays")
    code = add_reason(
        f"blocks: a response in {field} {id_} was less than {days:g} days ago",
        {name: config[name] for name in names if name in config},
    )

    def apply(state: State) -> None:
        rows = state.contacts.outcomes
        if not rows.at_ms.size:
            return
        counted = rows.is_response & in_category[rows.offer]
        is_blocked = rows.last(state.table.customers, counted) > state.request.now_ms - window_ms
        state.drop(scope.binding(state) & is_member & is_blocked[:, None], code)

    return Policy(
        covered=lambda state: scope.covered(state) & is_member,
        apply=apply,
        history=HistoryNeeds(outcome_window_ms=window_ms),
    )


def suppressed_category(config: dict[str, Any]) -> tuple[str, str]:
    """Return which field of an offer a category_suppression looks at, and the id there: the sub-category's if given."""
    field = "subCategoryId" if config.get("subCategoryId") else "categoryId"
    return field, str(config[field])
