"""`seed-jobs`: load and unload sample packs."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from kaireon_application.platform.job import JobHandler, JobRefused, JobRun, decode_payload
from kaireon_application.platform.job_seed_dataset import SEED_TYPE, UNLOAD_TYPE, SeedDatasetPayload
from kaireon_worker.samples import PACKS
from kaireon_worker.samples.pack import SamplePack
from kaireon_worker.services import open_services
from kaireon_worker.settings import Settings


def seed_handlers(settings: Settings) -> Mapping[str, JobHandler]:
    """Return the handlers of this queue's job types."""

    async def seed(run: JobRun) -> dict[str, Any]:
        payload = decode_payload(run, SeedDatasetPayload)
        pack = _pack(payload)
        async with open_services(settings) as services:
            return await pack.seed(run, services, force=payload.force)

    async def unload(run: JobRun) -> dict[str, Any]:
        pack = _pack(decode_payload(run, SeedDatasetPayload))
        async with open_services(settings) as services:
            return await pack.unload(run, services)

    return {SEED_TYPE: seed, UNLOAD_TYPE: unload}


def _pack(payload: SeedDatasetPayload) -> SamplePack:
    pack = PACKS.get(payload.dataset)
    if pack is None:
        raise JobRefused("unknown_dataset", f"this worker has no sample pack {payload.dataset!r}")
    return pack
