"""Sample packs: which there are, and the jobs that load and unload them."""

from __future__ import annotations

from uuid import UUID

import msgspec

from kaireon_application.catalog.entities import Entities
from kaireon_application.errors import Conflict, NotFound
from kaireon_application.platform.job import Queue
from kaireon_application.platform.jobs import Jobs, NewJob
from kaireon_application.platform.sample_packs import SAMPLE_PACKS, SamplePackInfo

SEED_TYPE = "seed_dataset"
UNLOAD_TYPE = "unload_dataset"


class SeedDatasetPayload(msgspec.Struct, frozen=True, kw_only=True, forbid_unknown_fields=True):
    """Which pack a job loads or unloads; `force` loads it again over itself."""

    dataset: str
    force: bool = False


async def loaded_packs(entities: Entities, tenant_id: UUID) -> frozenset[str]:
    """Return the keys of the packs that this tenant has: those whose flow exists, which is made last."""
    by_flow = {pack.flow_key: key for key, pack in SAMPLE_PACKS.items()}
    async with entities.reading(tenant_id) as reader:
        found = await reader.find("decision_flow", list(by_flow))
    return frozenset(by_flow[flow_key] for flow_key in found)


async def request_seeding(entities: Entities, jobs: Jobs, tenant_id: UUID, key: str, *, force: bool) -> UUID:
    """Queue the loading of a pack and return the job's id.

    Raises `NotFound` for an unknown pack, `Conflict` when it is loaded already (and `force` is not set) or being
    loaded or unloaded.
    """
    _require(key)
    if not force and key in await loaded_packs(entities, tenant_id):
        raise Conflict(f"{key} is loaded already; send ?force=true to load it again")
    return await jobs.enqueue(tenant_id, _job(SEED_TYPE, SeedDatasetPayload(dataset=key, force=force)))


async def request_unloading(jobs: Jobs, tenant_id: UUID, key: str) -> UUID:
    """Queue the unloading of a pack, a half-loaded one too, and return the job's id.

    Raises `NotFound` for an unknown pack, `Conflict` while it is being loaded or unloaded.
    """
    _require(key)
    return await jobs.enqueue(tenant_id, _job(UNLOAD_TYPE, SeedDatasetPayload(dataset=key)))


def _require(key: str) -> SamplePackInfo:
    pack = SAMPLE_PACKS.get(key)
    if pack is None:
        raise NotFound(f"no sample pack {key!r}; there are: {', '.join(sorted(SAMPLE_PACKS))}")
    return pack


def _job(job_type: str, payload: SeedDatasetPayload) -> NewJob:
    return NewJob(
        queue=Queue.SEED,
        type=job_type,
        payload=msgspec.to_builtins(payload),
        # Loading and unloading one pack exclude each other.
        dedupe_key=f"dataset:{payload.dataset}",
    )
