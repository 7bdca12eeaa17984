"""Sample packs: what a worker can seed into a tenant, by key."""

from __future__ import annotations

from kaireon_worker.samples.pack import SamplePack

PACKS: dict[str, SamplePack] = {
    pack.key: pack for pack in (SamplePack("completejourney", "kaireon_worker.samples.completejourney.loader"),)
}
