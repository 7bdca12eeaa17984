"""Auto-promotion: a challenger that has won its experiment becomes champion, through the same guard as by hand."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any, cast
from uuid import UUID

import msgspec

from kaireon_application.catalog.entities import Entities, Entity, ListQuery
from kaireon_application.catalog.read_entity import require
from kaireon_application.decisioning.decision_flow import DECISION_FLOW
from kaireon_application.decisioning.publish_flow import FlowVersions, FlowWriter, publish_config
from kaireon_application.errors import Conflict, KaireonError, Unavailable
from kaireon_application.experimentation.experiment import EXPERIMENT
from kaireon_application.experimentation.results import (
    ExperimentOutcomes,
    ExperimentResults,
    Part,
    models_of,
    results_of,
)
from kaireon_application.governance.actor import SYSTEM
from kaireon_application.learning.algorithm_model import KIND
from kaireon_application.learning.evidence import EvidenceSources, PromotionEvidence
from kaireon_application.learning.promote_model import PromotionRequest, known_evidence, promoted
from kaireon_core.learning.lifecycle import RegistryStatus
from kaireon_runtime.logs import logger

_MANY = 1000
# What the rollback guard compares, as training has measured it.
_GUARDED = ("auc", "errorRate")


class Verdict(StrEnum):
    """What became of an experiment that promotes by itself."""

    PROMOTED = "promoted"
    WAITING = "waiting"
    REFUSED = "refused"


class AutoPromotion(msgspec.Struct, frozen=True, kw_only=True):
    """One experiment that was looked at; `reason` says why nothing was promoted."""

    experiment_key: str
    verdict: Verdict
    model_key: str | None = None
    reason: str | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class AutoPromote:
    """The use case."""

    entities: Entities
    flows: FlowVersions
    outcomes: ExperimentOutcomes
    evidence: EvidenceSources

    async def __call__(self, tenant_id: UUID, now: datetime) -> list[AutoPromotion]:
        """Look at a tenant's active experiments that promote by themselves; one that fails does not stop the others.

        Raises `Unavailable` while the storage is away.
        """
        async with self.entities.reading(tenant_id) as reader:
            query = ListQuery(limit=_MANY, status="active", matching={"autoPromote": True})
            page = await reader.page(EXPERIMENT.name, query)
            found = [(experiment, await models_of(reader, experiment)) for experiment in page.entities]
        done = list[AutoPromotion]()
        for experiment, models in found:
            if now < _started_at(experiment) + timedelta(days=experiment.body["promoteAfterDays"]):
                done.append(_waiting(experiment, "it has not run long enough"))
                continue
            counts = await self.outcomes.by_variant(tenant_id, experiment.key, experiment.created_at)
            winner = winner_of(results_of(experiment, models, counts), experiment.body["promoteThreshold"])
            if winner is None:
                done.append(_waiting(experiment, "no challenger is surely better by its threshold"))
            else:
                done.append(await self._promote(tenant_id, experiment, winner, now))
        return done

    async def _promote(self, tenant_id: UUID, experiment: Entity, winner: str, now: datetime) -> AutoPromotion:
        try:
            evidence = await known_evidence(self.evidence, self.entities, tenant_id, winner)
            async with self.flows.writing(tenant_id, SYSTEM) as writer:
                current = await require(writer, EXPERIMENT.name, str(experiment.id))
                if current.row_version != experiment.row_version:
                    raise Conflict("the experiment has changed meanwhile")
                await _complete(writer, current, winner, now, evidence)
        except Unavailable:
            raise
        except KaireonError as error:
            logger("kaireon.learning").warning(
                "auto-promotion refused", experiment=experiment.key, modelKey=winner, reason=error.message
            )
            return AutoPromotion(
                experiment_key=experiment.key, verdict=Verdict.REFUSED, model_key=winner, reason=error.message
            )
        return AutoPromotion(experiment_key=experiment.key, verdict=Verdict.PROMOTED, model_key=winner)


def winner_of(results: ExperimentResults, threshold: float) -> str | None:
    """Return the challenger that is surely better than the champion, and by so much; of several the best one.

    Sure is what the always-valid p-value says: the experiment is looked at every day.
    """
    parts = {one.variant: one.part for one in results.variants}
    better = [
        (one.uplift, one.variant)
        for one in results.comparisons
        if parts[one.baseline] is Part.CHAMPION
        and one.uplift is not None
        and one.uplift > 0
        and one.uplift >= threshold
        and one.sequential is not None
        and one.sequential.significant
    ]
    return max(better)[1] if better else None


async def _complete(
    writer: FlowWriter, experiment: Entity, winner: str, now: datetime, evidence: PromotionEvidence
) -> None:
    """Promote the winner, end the experiment, and let the flows that run it decide with the winner for everybody."""
    model = await require(writer, KIND, winner)
    champion_id = experiment.body.get("championModelId")
    champion = (await writer.find(KIND, [champion_id])).get(champion_id) if champion_id else None
    request = PromotionRequest(
        to_status=RegistryStatus.CHAMPION,
        family=str(champion.body["family"]) if champion else None,
        metrics_snapshot=_measured(model),
    )
    await promoted(writer, str(model.id), request, now, SYSTEM, evidence)
    body = {**experiment.body, "completedAt": now.isoformat(), "promotedModelId": str(model.id)}
    await writer.update(msgspec.structs.replace(experiment, status="completed", body=body))
    names = {experiment.key, str(experiment.id)}
    notes = f"the experiment '{experiment.key}' is over: '{winner}' is champion"
    for live in await writer.live_versions():
        config = decided_by(live.config, names, winner)
        if config is not None:
            flow = await require(writer, DECISION_FLOW.name, live.key)
            draft = decided_by(flow.body["draftConfig"], names, winner)
            if draft is not None:
                flow = msgspec.structs.replace(flow, body={**flow.body, "draftConfig": draft})
            await writer.take_publish_approval(flow, as_it_is=False)
            await publish_config(writer, flow, config, notes, flow.status)


def decided_by(config: Mapping[str, Any], names: set[str], winner: str) -> dict[str, Any] | None:
    """Return a flow in which a model decides where one of these experiments did, None where none of them does."""
    nodes = cast("list[dict[str, Any]]", config.get("nodes", []))
    changed = [_with_winner(node, names, winner) for node in nodes]
    return None if changed == nodes else {**config, "nodes": changed}


def _with_winner(node: dict[str, Any], names: set[str], winner: str) -> dict[str, Any]:
    config = cast("dict[str, Any]", node.get("config") or {})
    contest = cast("dict[str, Any]", config.get("championChallenger") or {})
    if node["type"] != "score" or contest.get("experimentId") not in names:
        return node
    method = config.get("method", "priority_weighted")
    return {
        **node,
        "config": {
            **config,
            "method": "propensity" if method == "priority_weighted" else method,
            "modelKey": winner,
            "championChallenger": None,
        },
    }


def _measured(model: Entity) -> dict[str, Any]:
    """Return what training knows of the model, for the rollback guard."""
    metrics = cast("Mapping[str, Any]", model.body.get("metrics") or {})
    return {name: metrics[name] for name in _GUARDED if name in metrics}


def _started_at(experiment: Entity) -> datetime:
    started = experiment.body.get("startedAt")
    return datetime.fromisoformat(started) if started else experiment.created_at


def _waiting(experiment: Entity, reason: str) -> AutoPromotion:
    return AutoPromotion(experiment_key=experiment.key, verdict=Verdict.WAITING, reason=reason)
