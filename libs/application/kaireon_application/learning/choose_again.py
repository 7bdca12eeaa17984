"""What a flow or a model would have chosen in stored decisions: replays, several of each where the flow draws."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Sequence
from dataclasses import dataclass, field
from hashlib import blake2b
from typing import Protocol
from uuid import UUID

import msgspec

from kaireon_application.decisioning.explain_trace import StoredTrace
from kaireon_application.decisioning.replay_trace import ReplayRequest, redecided
from kaireon_application.decisioning.snapshot import LiveFlow, PublishedFlow, TenantSnapshot
from kaireon_application.errors import EvaluationTooLarge, InvalidInput
from kaireon_application.learning.policy_target import EpsilonPolicy, Policy, SoftmaxPolicy
from kaireon_core.decisioning.flow import Rank, RankConfig
from kaireon_core.learning.model import ScoringModel

_MOST_SECONDS = 120.0
# A new one for every change of the tenant's configuration.
_KEPT_FLOWS = 8


class ChooseAgain(Protocol):
    """Makes ready what decides again. `ReplayTrace` is one."""

    async def prepared(
        self, tenant_id: UUID, trace: StoredTrace, request: ReplayRequest, candidate: ScoringModel | None = None
    ) -> tuple[TenantSnapshot, PublishedFlow]:
        """Return the flow that decides instead, over the catalogue of the trace.

        `candidate` is the model of the request where it need not be one that may score now.
        Raises `NotFound` for what the request names, `InputsExpired` when the trace's snapshot is gone.
        """
        ...


@dataclass(slots=True)
class Rechosen:
    """Decides traces again, one change for all of them; one decides in `runs` runs where its flow draws."""

    replay: ChooseAgain
    tenant_id: UUID
    request: ReplayRequest
    policy: Policy | None
    runs: int
    candidate: ScoringModel | None = None
    _until: float = field(default_factory=lambda: time.monotonic() + _MOST_SECONDS)
    _flows: dict[tuple[bytes, UUID], LiveFlow] = field(default_factory=dict[tuple[bytes, UUID], LiveFlow])

    async def of(self, traces: Sequence[StoredTrace]) -> list[list[list[str]]]:
        """Return for each trace the offers that are chosen, by rank, run by run. Raises `EvaluationTooLarge`."""
        return [await self._runs_of(trace) for trace in traces]

    async def _prepare(self, trace: StoredTrace) -> None:
        place = (trace.content.snapshot_hash, trace.flow_id)
        if place not in self._flows:
            if len(self._flows) >= _KEPT_FLOWS:
                self._flows.clear()
            snapshot, published = await self.replay.prepared(self.tenant_id, trace, self.request, self.candidate)
            flow = with_policy(published, self.policy)
            self._flows[place] = await asyncio.to_thread(snapshot.live, flow)

    async def _runs_of(self, trace: StoredTrace) -> list[list[str]]:
        await self._prepare(trace)
        return await asyncio.to_thread(self._chosen, trace)

    def _chosen(self, trace: StoredTrace) -> list[list[str]]:
        if time.monotonic() > self._until:
            raise EvaluationTooLarge
        live = self._flows[trace.content.snapshot_hash, trace.flow_id]
        first, is_drawn = _offers(live, trace, 0)
        if not is_drawn:
            return [first]
        return [first, *(_offers(live, trace, run)[0] for run in range(1, self.runs))]


def _offers(live: LiveFlow, trace: StoredTrace, run: int) -> tuple[list[str], bool]:
    """Return the chosen offers by rank, and whether chance had a part; each run draws anew, none as the trace did."""
    seed = blake2b(f"{trace.recommendation_id}:{run}".encode(), digest_size=8).digest()
    decided = redecided(live, trace, int.from_bytes(seed))
    candidates = live.described.candidates
    return [candidates[pick].offer_id for pick in decided.picks], decided.probabilities is not None


def with_policy(published: PublishedFlow, policy: Policy | None) -> PublishedFlow:
    """Return the flow whose rank node follows a policy: greedy is its order without any draw."""
    if policy is None:
        return published
    places = [place for place, node in enumerate(published.flow.nodes) if isinstance(node, Rank)]
    if not places:
        raise InvalidInput.at("$.policy", f"the flow '{published.key}' has no rank node to follow a policy")
    nodes = list(published.flow.nodes)
    for place in places:
        node = nodes[place]
        assert isinstance(node, Rank)  # noqa: S101 - found above
        nodes[place] = msgspec.structs.replace(node, config=_ranked(node.config, policy))
    return msgspec.structs.replace(published, flow=msgspec.structs.replace(published.flow, nodes=nodes))


def _ranked(config: RankConfig, policy: Policy) -> RankConfig:
    if isinstance(policy, SoftmaxPolicy):
        return RankConfig(
            method="explore", temperature=max(policy.temperature, 1e-6), max_candidates=config.max_candidates
        )
    if isinstance(policy, EpsilonPolicy):
        return RankConfig(method="explore", epsilon=policy.epsilon, max_candidates=config.max_candidates)
    return RankConfig(max_candidates=config.max_candidates) if config.method == "explore" else config
