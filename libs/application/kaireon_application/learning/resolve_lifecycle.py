"""Which models are deployed, ready for the config of a score node."""

from __future__ import annotations

from collections import Counter
from uuid import UUID

import msgspec

from kaireon_application.catalog.entities import Entities, Entity, EntityReader, ListQuery
from kaireon_application.learning.algorithm_model import KIND
from kaireon_core.learning.lifecycle import RegistryStatus, split_weight

_ALL = 10_000
_EVERYBODY = 100
# The champion's share of the traffic in per cent, where nobody says another one.
CHAMPION_WEIGHT = 80


class ResolvedChallenger(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """A challenger and its share of the traffic, in percent."""

    model_key: str
    model_id: UUID
    weight: int


class ResolvedLifecycle(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """The deployed models of a family, or of the tenant."""

    champion_model_key: str | None
    champion_model_id: UUID | None
    challengers: list[ResolvedChallenger]
    shadow_model_keys: list[str]
    family: str | None
    warnings: list[str]


async def resolve_lifecycle(
    entities: Entities, tenant_id: UUID, family: str | None, champion_weight: int
) -> ResolvedLifecycle:
    """Return the champion, its challengers with weights that add up to 100 with the champion's, and the shadows.

    Models are in the order of their keys; of several champions the first one counts, and a warning says so.
    """
    async with entities.reading(tenant_id) as reader:
        return await resolved(reader, family, champion_weight)


async def resolved(reader: EntityReader, family: str | None, champion_weight: int) -> ResolvedLifecycle:
    """As `resolve_lifecycle`, inside an open transaction."""
    matching = {} if family is None else {"family": family}
    by_status = {
        status: await _models(reader, {**matching, "registryStatus": status.value})
        for status in (RegistryStatus.CHAMPION, RegistryStatus.CHALLENGER, RegistryStatus.SHADOW)
    }
    champions = by_status[RegistryStatus.CHAMPION]
    challengers = by_status[RegistryStatus.CHALLENGER]
    weights = split_weight(_EVERYBODY - champion_weight, [model.key for model in challengers])
    champion = champions[0] if champions else None
    return ResolvedLifecycle(
        champion_model_key=champion.key if champion else None,
        champion_model_id=champion.id if champion else None,
        challengers=[
            ResolvedChallenger(model_key=model.key, model_id=model.id, weight=weight)
            for model, weight in zip(challengers, weights, strict=True)
        ],
        shadow_model_keys=[model.key for model in by_status[RegistryStatus.SHADOW]],
        family=family or (str(champion.body["family"]) if champion else None),
        warnings=_warnings(champions, [*champions, *challengers, *by_status[RegistryStatus.SHADOW]], family),
    )


async def _models(reader: EntityReader, matching: dict[str, str]) -> list[Entity]:
    page = await reader.page(KIND, ListQuery(limit=_ALL, matching=matching))
    return sorted(page.entities, key=lambda model: model.key)


def _warnings(champions: list[Entity], scoring: list[Entity], family: str | None) -> list[str]:
    warnings: list[str] = []
    counts = Counter(str(model.body["family"]) for model in champions)
    warnings += [f"family {name!r} has {count} champions" for name, count in sorted(counts.items()) if count > 1]
    if not champions:
        warnings.append("there is no champion" if family is None else f"family {family!r} has no champion")
    if family is None and len(counts) > 1:
        warnings.append(f"several families have a champion ({', '.join(sorted(counts))}); ask for one with ?family=")
    warnings += [
        f"model {model.key!r} is not active, so no flow scores with it" for model in scoring if model.status != "active"
    ]
    return warnings
