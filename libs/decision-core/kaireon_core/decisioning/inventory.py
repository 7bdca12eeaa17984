"""The inventory node: which offers a flow starts from, within their statuses and schedules."""

from __future__ import annotations

import numpy as np

from kaireon_core.catalog.document import ids_named
from kaireon_core.column import Mask
from kaireon_core.decisioning.calendar import instant_ms
from kaireon_core.decisioning.candidates import Candidates
from kaireon_core.decisioning.flow import Inventory, InventoryConfig
from kaireon_core.decisioning.reasons import LegendBuilder
from kaireon_core.decisioning.state import Stage, State
from kaireon_core.table import lookup

_BEGINNING_OF_TIME = np.iinfo(np.int64).min
_END_OF_TIME = np.iinfo(np.int64).max


def compile_inventory(node: Inventory, candidates: Candidates, legend: LegendBuilder) -> Stage:
    """Return the stage; scope and status are constants, the schedule (start included, end excluded) is not."""
    statuses = ", ".join(node.config.include_statuses)
    out_of_scope = legend.add("scope", f"the offer is not in the flow's inventory (scope {node.config.scope})")
    wrong_status = legend.add("status", f"the offer's status is not one of: {statuses}")
    not_scheduled = legend.add("schedule", "the offer's schedule does not include this moment")
    stopped = legend.add("emergency_excluded", "the offer is excluded for an emergency")
    excluded = legend.add("excluded", "the request excludes this offer")
    outside = ~_in_scope(node.config, candidates)
    offers = candidates.catalogue.offers
    allowed = set(node.config.include_statuses)
    inactive = np.array([offer.status not in allowed for offer in offers], np.bool_)[candidates.offer]
    starts = _schedule(candidates, "startDate", _BEGINNING_OF_TIME)
    ends = _schedule(candidates, "endDate", _END_OF_TIME)
    emergency = np.array([offer.body.get("emergencyExcluded") is True for offer in offers], np.bool_)[candidates.offer]

    # What no offer is subject to need not be asked in every decision.
    constant = [(mask, code) for mask, code in ((outside, out_of_scope), (inactive, wrong_status)) if mask.any()]
    is_scheduled = bool(((starts > _BEGINNING_OF_TIME) | (ends < _END_OF_TIME)).any())
    has_emergency = bool(emergency.any())

    def apply(state: State) -> None:
        for mask, code in constant:
            state.drop(mask, code)
        if is_scheduled:
            now_ms = state.request.now_ms
            state.drop((starts > now_ms) | (ends <= now_ms), not_scheduled)
        if has_emergency:
            state.drop(emergency, stopped)
        if state.request.excluded_offers:
            state.drop(_excluded(state), excluded)

    return Stage(name="inventory", apply=apply)


def _in_scope(config: InventoryConfig, candidates: Candidates) -> Mask:
    """Return which candidates the scope includes; a non-empty `offerIds` beats the category scope."""
    catalogue, offers = candidates.catalogue, candidates.catalogue.offers
    if config.offer_ids or config.scope == "offers":
        wanted = ids_named(offers, config.offer_ids)
        included = [offer.id in wanted for offer in offers]
    elif config.scope == "category":
        wanted = ids_named(catalogue.categories, config.category_ids)
        included = [offer.body.get("categoryId") in wanted for offer in offers]
    elif config.scope == "subcategory":
        wanted = ids_named(catalogue.sub_categories, config.sub_category_ids)
        included = [offer.body.get("subCategoryId") in wanted for offer in offers]
    else:
        included = [True] * len(offers)
    return np.array(included, np.bool_)[candidates.offer]


def _schedule(candidates: Candidates, field: str, default: int) -> np.ndarray[tuple[int], np.dtype[np.int64]]:
    """Return the instant (ms) of one end of each candidate's schedule."""
    instants = [instant_ms(lookup(offer.body, f"schedule.{field}")) for offer in candidates.catalogue.offers]
    return np.array([default if instant is None else instant for instant in instants], np.int64)[candidates.offer]


def _excluded(state: State) -> Mask:
    """Return the candidates whose offer the request excludes, by id or key, shape (C,)."""
    names = state.request.excluded_offers
    excluded = [not names.isdisjoint((offer.id, offer.key)) for offer in state.candidates.catalogue.offers]
    return np.array(excluded, np.bool_)[state.candidates.offer]
