"""Stored decisions as a log: what was shown, with which probability, and how it was answered."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any, Protocol
from uuid import UUID

import msgspec
import numpy as np

from kaireon_application.catalog.entities import Entities
from kaireon_application.catalog.read_entity import get_entity
from kaireon_application.decisioning.explain_trace import StoredTrace
from kaireon_application.decisioning.replay_trace import ReplayRequest
from kaireon_application.errors import EvaluationTooLarge, NotFound
from kaireon_application.learning.choose_again import ChooseAgain, Rechosen
from kaireon_application.learning.evaluation_request import TraceRange
from kaireon_application.learning.logged_row import MOST_ATTRIBUTES, LoggedRow, log_of, part_of
from kaireon_application.learning.policy_target import Policy
from kaireon_application.learning.score_rows import LoadedModel
from kaireon_core.learning.model import ScoringModel
from kaireon_core.learning.off_policy.log import DecisionLog
from kaireon_core.learning.off_policy.target import NOTHING, SampledTarget

MOST_DECISIONS = 100_000
# Each is decided again, several times where the flow draws.
MOST_REPLAYED = 20_000
# How often a flow that draws decides each of them again.
RUNS = 16
_UNKNOWN = -1
_SCALARS = (str, int, float, bool)


class Answered(msgspec.Struct, frozen=True, kw_only=True):
    """An outcome of what was shown at a rank."""

    rank: int
    outcome_key: str
    classification: str


@dataclass(frozen=True, slots=True)
class AnsweredTrace:
    """A trace and what its customer did with what was shown."""

    trace: StoredTrace
    answers: Sequence[Answered]


class AnsweredTraces(Protocol):
    """Reads decisions with their outcomes. Raises `Unavailable` while Postgres cannot be reached."""

    async def count(self, tenant_id: UUID, flow_id: UUID, between: TraceRange) -> int:
        """Return how many decisions of a flow there are that showed anything."""
        ...

    def pages(self, tenant_id: UUID, flow_id: UUID, between: TraceRange) -> AsyncIterator[Sequence[AnsweredTrace]]:
        """Return them a page at a time, oldest first."""
        ...


@dataclass(slots=True)
class _Rows:
    """Rows of a log as they are collected, with what the target chose instead in each run."""

    weights: Mapping[str, float]
    rows: list[LoggedRow] = field(default_factory=list[LoggedRow])
    prior: list[float] = field(default_factory=list[float])
    # By row and run: the offer that was chosen instead, None for none, and whether all before it was the same.
    chosen: list[list[str | None]] = field(default_factory=list[list["str | None"]])
    followed: list[list[bool]] = field(default_factory=list[list[bool]])

    def add(self, answered: AnsweredTrace, runs: Sequence[Sequence[str]]) -> None:
        """Add one decision up to the first rank whose probability is not known.

        `runs` are the offers that the target chose in it, run by run.
        """
        trace = answered.trace
        content, candidates = trace.content, trace.legend.candidates
        shown = [candidates[pick].offer_id for pick in content.picks]
        chances = _known(content.selection or [1.0] * len(shown))
        attributes = _attributes(trace)
        for place, (offer, chance) in enumerate(zip(shown, chances, strict=False)):
            self.rows.append(
                LoggedRow(
                    decision_id=str(trace.recommendation_id),
                    customer_id=trace.customer_id,
                    slot=str(place + 1),
                    action=offer,
                    selection_probability=chance,
                    reward=_reward([one for one in answered.answers if one.rank == place + 1], self.weights),
                    attributes=attributes,
                )
            )
            self.prior.append(float(np.prod(chances[:place])))
            self.chosen.append([run[place] if place < len(run) else None for run in runs])
            self.followed.append([list(run[:place]) == shown[:place] for run in runs])

    def log(self) -> DecisionLog:
        """Return the rows as a log."""
        return log_of([part_of(self.rows, 0)] if self.rows else [])

    def target(self, log: DecisionLog) -> SampledTarget:
        """Return what the target chose, as codes of the log; a decision with one run has it as often as the others."""
        codes: dict[str | None, int] = {name: code for code, name in enumerate(log.action_names)}
        codes[None] = NOTHING
        runs = max(len(chosen) for chosen in self.chosen)
        chosen = [one * (runs // len(one)) for one in self.chosen]
        followed = [one * (runs // len(one)) for one in self.followed]
        return SampledTarget(
            np.array([[codes.get(name, _UNKNOWN) for name in row] for row in chosen], np.int64).T,
            np.array(followed, np.float64).T,
            np.array(self.prior),
        )


@dataclass(frozen=True, slots=True, kw_only=True)
class TracesAsLog:
    """Reads stored decisions as logs, and decides them again for targets that are flows or models."""

    traces: AnsweredTraces
    entities: Entities
    choose_again: ChooseAgain

    async def of_decisions(self, tenant_id: UUID, between: TraceRange) -> DecisionLog:
        """Return the decisions as they were. Raises `NotFound`, `EvaluationTooLarge`, `InvalidInput` for none."""
        flow_id = await self._flow(tenant_id, between, MOST_DECISIONS)
        rows = _Rows({})
        async for page in self.traces.pages(tenant_id, flow_id, between):
            for one in page:
                rows.add(one, [[]])
        return await asyncio.to_thread(rows.log)

    async def of_flow(
        self, tenant_id: UUID, between: TraceRange, flow_key: str, version: int | None
    ) -> tuple[DecisionLog, SampledTarget]:
        """Return the decisions with what a flow would have chosen in each."""
        request = ReplayRequest(decision_flow_key=flow_key, version=version)
        again = Rechosen(self.choose_again, tenant_id, request, None, RUNS)
        return await self._decided_again(tenant_id, between, again, {})

    async def of_model(
        self, tenant_id: UUID, between: TraceRange, loaded: LoadedModel, policy: Policy | None
    ) -> tuple[DecisionLog, SampledTarget]:
        """Return the decisions with what their flow would have chosen with this model, which weighs the outcomes."""
        weights: dict[str, float] = loaded.entity.body.get("outcomeWeights") or {}
        candidate = ScoringModel(model_type=str(loaded.entity.body["modelType"]), model=loaded.scorer)
        request = ReplayRequest(model_key=loaded.entity.key)
        again = Rechosen(self.choose_again, tenant_id, request, policy, RUNS, candidate)
        return await self._decided_again(tenant_id, between, again, weights)

    async def _flow(self, tenant_id: UUID, between: TraceRange, most: int) -> UUID:
        """Return the id of the flow that decided. Raises `NotFound`, `EvaluationTooLarge` for too many decisions."""
        try:
            flow = await get_entity(self.entities, tenant_id, "decision_flow", between.flow_key)
        except NotFound:
            raise NotFound.reference("$.traces.flowKey", "there is no such decision flow") from None
        count = await self.traces.count(tenant_id, flow.id, between)
        if count > most:
            message = f"there are {count} decisions between from and to, and {most} can be evaluated; narrow them"
            raise EvaluationTooLarge(message)
        return flow.id

    async def _decided_again(
        self, tenant_id: UUID, between: TraceRange, again: Rechosen, weights: Mapping[str, float]
    ) -> tuple[DecisionLog, SampledTarget]:
        flow_id = await self._flow(tenant_id, between, MOST_REPLAYED)
        rows = _Rows(weights)
        async for page in self.traces.pages(tenant_id, flow_id, between):
            for one, runs in zip(page, await again.of([one.trace for one in page]), strict=True):
                rows.add(one, runs)
        log = await asyncio.to_thread(rows.log)
        return log, rows.target(log)


def _known(chances: Sequence[float | None]) -> list[float]:
    """Return the probabilities before the first that is not known: what stands behind it cannot be weighed either."""
    found: list[float] = []
    for chance in chances:
        if chance is None:
            break
        found.append(chance)
    return found


def _reward(answers: Sequence[Answered], weights: Mapping[str, float]) -> float:
    """Return what the answers to one offer are worth: that of the best of them.

    An outcome is worth its weight where it has one, else 1 when it is positive and 0 otherwise.
    """
    worths = [weights.get(one.outcome_key, float(one.classification == "positive")) for one in answers]
    gains = [worth for worth in worths if worth > 0]
    return max(gains) if gains else min(worths, default=0.0)


def _attributes(trace: StoredTrace) -> dict[str, Any]:
    """Return the customer's attributes at the time of the decision, as far as they are plain."""
    facts = trace.content.facts
    given: dict[str, Any] = {**facts.get("customer", {}), **facts.get("attributes", {})}
    plain = {name: value for name, value in given.items() if isinstance(value, _SCALARS)}
    return dict(list(plain.items())[:MOST_ATTRIBUTES])
