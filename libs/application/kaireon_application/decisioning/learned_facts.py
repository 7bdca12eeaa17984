"""What responses have taught the models that a flow asks: from storage to its catalogue, and to a trace and back."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import numpy as np

from kaireon_core.decisioning.compile import CompiledFlow
from kaireon_core.learning.learned import Learned, LearnedArms, LearnedForm, LearnedRows, LearnerReference

_NOTHING = LearnedRows()


def learned_of(flow: CompiledFlow, rows: Mapping[str, LearnedRows]) -> dict[str, Learned]:
    """Return what the models that a flow asks have learned, by model id."""
    return {one.model_id: _over(flow, one, rows.get(one.model_id, _NOTHING)) for one in flow.needs.learned}


def _over(flow: CompiledFlow, reference: LearnerReference, rows: LearnedRows) -> Learned:
    if reference.form is not LearnedForm.ARMS:
        return rows
    arms = LearnedArms.none(len(flow.candidates.catalogue.offers))
    if rows.sums:
        # Of offers that are gone only the totals tell.
        places = np.array([flow.offer_index.get(offer, -1) for offer in rows.sums], np.int64)
        sums = np.array(list(rows.sums.values()), np.float64)
        arms.totals[:] = sums.sum(axis=0)
        arms.sums[places[places >= 0]] = sums[places >= 0]
    return arms


def write_learned(flow: CompiledFlow, learned: Mapping[str, Learned]) -> dict[str, Any]:
    """Return what a trace keeps of it; nothing where the flow asks no model that learns."""
    written = {one.model_id: _written(learned[one.model_id]) for one in flow.needs.learned if one.model_id in learned}
    return {"learned": written} if written else {}


def _written(learned: Learned) -> dict[str, Any]:
    if isinstance(learned, LearnedRows):
        return {
            "sums": {subject: list(sums) for subject, sums in learned.sums.items()},
            "weights": learned.weights,
            "bias": learned.bias,
        }
    places = np.flatnonzero(learned.sums.any(axis=1))
    return {
        "arms": [[place, *sums] for place, sums in zip(places.tolist(), learned.sums[places].tolist(), strict=True)],
        "totals": learned.totals.tolist(),
    }


def read_learned(flow: CompiledFlow, facts: Mapping[str, Any]) -> dict[str, Learned]:
    """Return what a trace has kept of what models had learned."""
    kept: Mapping[str, dict[str, Any]] = facts.get("learned", {})
    return {model_id: _read(flow, written) for model_id, written in kept.items()}


def _read(flow: CompiledFlow, written: Mapping[str, Any]) -> Learned:
    if "arms" not in written:
        return LearnedRows(
            sums={subject: (sums[0], sums[1]) for subject, sums in written["sums"].items()},
            weights=written["weights"],
            bias=written["bias"],
        )
    arms = LearnedArms.none(len(flow.candidates.catalogue.offers))
    arms.totals[:] = written["totals"]
    for place, first, second in written["arms"]:
        arms.sums[place] = first, second
    return arms
