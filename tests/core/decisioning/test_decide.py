"""Laws of a decision, over random catalogues, flows, customers and histories."""

from __future__ import annotations

import copy
import random
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from kaireon_core.decisioning.decide import Decisions, decide
from tests.core.decisioning import reference
from tests.core.decisioning.cases import Case, compile_case, facts_of, outcome, request_of, run
from tests.core.decisioning.worlds import cases

_many = settings(max_examples=2000)
_some = settings(max_examples=300)


@_many
@given(case=cases())
def test_law_the_engine_decides_as_the_reference_does(case: Case) -> None:
    decided = run(case)
    expected = [reference.decide(case, customer) for customer in case["customers"]]
    for mine, theirs in zip(decided, expected, strict=True):
        assert mine.dropped == theirs.dropped
        assert mine.picks == theirs.picks
        assert mine.funnel == theirs.funnel
        assert (mine.placements, sorted(mine.coupling)) == (theirs.placements, sorted(theirs.coupling))
        assert mine.probabilities == pytest.approx(theirs.probabilities, rel=1e-9, abs=1e-12)
        assert mine.is_degraded == theirs.is_degraded
        assert mine.scores == pytest.approx(theirs.scores, rel=0, abs=1e-12)
        assert list(map(_rounded, mine.properties)) == list(map(_rounded, theirs.properties))


def _rounded(properties: dict[str, Any]) -> dict[str, Any]:
    return {name: round(one, 12) if isinstance(one, float) else one for name, one in properties.items()}


@_some
@given(case=cases())
def test_law_many_customers_are_decided_as_each_alone(case: Case) -> None:
    flow, request = compile_case(case), request_of(case)
    together = decide(flow, request, facts_of(case, flow, case["customers"]))
    for number, customer in enumerate(case["customers"]):
        alone = decide(flow, request, facts_of(case, flow, [customer]))
        assert _bytes_of(together, number) == _bytes_of(alone, 0)


@_some
@given(case=cases())
def test_law_the_same_inputs_give_the_same_bytes(case: Case) -> None:
    def decided() -> list[list[bytes]]:
        flow = compile_case(copy.deepcopy(case))
        decisions = decide(flow, request_of(case), facts_of(case, flow, case["customers"]))
        return [_bytes_of(decisions, customer) for customer in range(len(case["customers"]))]

    assert decided() == decided()


def _bytes_of(decisions: Decisions, customer: int) -> list[bytes]:
    shape = decisions.reasons.shape
    columns = [decisions.score, decisions.propensity, decisions.fit]
    # Without a fit column every multiplier is 1.
    rows = [np.broadcast_to(1.0 if one is None else one, shape)[customer] for one in columns]
    bare = np.broadcast_to(False if decisions.bare is None else decisions.bare, shape)[customer]
    drawn = np.ones(0) if decisions.probabilities is None else decisions.probabilities[customer]
    cells = [] if decisions.placed is None else [cell.seed for cell in decisions.placed[customer]]
    drawn = np.append(drawn, cells)
    return [one.tobytes() for one in (decisions.picks[customer], decisions.reasons[customer], drawn, bare, *rows)]


@_some
@given(case=cases(), seed=st.integers(0, 2**16))
def test_law_the_order_of_the_catalogue_decides_nothing(case: Case, seed: int) -> None:
    shuffled = copy.deepcopy(case)
    for documents in shuffled["catalogue"].values():
        random.Random(seed).shuffle(documents)
    for before, after in zip(run(case), run(shuffled), strict=True):
        assert before.picks == after.picks


@_some
@given(case=cases())
def test_law_every_candidate_is_kept_or_has_one_reason(case: Case) -> None:
    flow = compile_case(case)
    decisions = decide(flow, request_of(case), facts_of(case, flow, case["customers"]))
    for customer in range(len(case["customers"])):
        decided = outcome(flow, decisions, customer)
        kept = set(np.flatnonzero(decisions.reasons[customer] == 0).tolist())
        assert kept == set(decisions.picks[customer].tolist())
        assert len(kept) + len(decided.dropped) == len(flow.candidates)
        entered = [entered for _, entered, _ in decided.funnel]
        left = [left for _, _, left in decided.funnel]
        assert entered == [len(flow.candidates), *left[:-1]]
        assert left[-1] == len(kept)
