"""Sample packs over HTTP."""

from __future__ import annotations

from typing import Any

import msgspec

from kaireon_api.operation import Call, Operation, Reply, Role
from kaireon_api.platform.jobs import accept
from kaireon_application.platform.job_seed_dataset import loaded_packs, request_seeding, request_unloading
from kaireon_application.platform.jobs import JobAccepted
from kaireon_application.platform.sample_packs import SAMPLE_PACKS, SamplePackInfo


class SamplePackAnswer(SamplePackInfo, frozen=True, kw_only=True, rename="camel"):
    """A sample pack, and whether this tenant has it."""

    loaded: bool


class SamplePackList(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Every sample pack, and the key of one that is loaded."""

    datasets: list[SamplePackAnswer]
    currently_loaded: str | None


class SeedQuery(msgspec.Struct, frozen=True, kw_only=True):
    """The query string of loading."""

    force: bool = False


async def _list_packs(call: Call[Any]) -> Reply:
    loaded = await loaded_packs(call.services.entities, call.tenant_id)
    datasets = [
        SamplePackAnswer(**msgspec.structs.asdict(pack), loaded=key in loaded) for key, pack in SAMPLE_PACKS.items()
    ]
    return Reply(content=SamplePackList(datasets=datasets, currently_loaded=min(loaded, default=None)))


async def _seed(call: Call[Any]) -> Reply:
    services, query = call.services, call.params
    job_id = await request_seeding(
        services.entities, services.jobs, call.tenant_id, call.path["key"], force=query.force
    )
    return accept(job_id)


async def _unload(call: Call[Any]) -> Reply:
    return accept(await request_unloading(call.services.jobs, call.tenant_id, call.path["key"]))


OPERATIONS: tuple[Operation, ...] = (
    Operation(
        method="GET",
        path="/api/v1/seed-dataset",
        role=Role.VIEWER,
        handler=_list_packs,
        summary="List the sample packs",
        answers={200: SamplePackList},
    ),
    Operation(
        method="POST",
        path="/api/v1/seed-dataset/{key}",
        role=Role.EDITOR,
        handler=_seed,
        summary="Load a sample pack, as a job; with force=true over one that is loaded",
        query=SeedQuery,
        answers={202: JobAccepted, 404: None, 409: None},
    ),
    Operation(
        method="DELETE",
        path="/api/v1/seed-dataset/{key}",
        role=Role.EDITOR,
        handler=_unload,
        summary="Unload a sample pack, as a job",
        answers={202: JobAccepted, 404: None, 409: None},
    ),
)
