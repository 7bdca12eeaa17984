"""A sample pack as the seed job sees it."""

from __future__ import annotations

from importlib import import_module
from typing import Any, Protocol, cast

from kaireon_application.platform.job import JobRefused, JobRun
from kaireon_storage.postgres.database import Database


class SeedServices(Protocol):
    """What seeding needs of a job's services."""

    @property
    def database(self) -> Database:
        """The opened pool."""
        ...


class _Loader(Protocol):
    """The module that knows a pack's data."""

    async def seed(self, run: JobRun, services: SeedServices, *, force: bool) -> dict[str, Any]: ...

    async def unload(self, run: JobRun, services: SeedServices) -> dict[str, Any]: ...


class SamplePack:
    """One pack; its loader is imported when it is first used, because its data is an extra that may be missing."""

    def __init__(self, key: str, module: str) -> None:
        """Name the module that has `seed` and `unload`."""
        self.key = key
        self._module = module

    async def seed(self, run: JobRun, services: SeedServices, *, force: bool = False) -> dict[str, Any]:
        """Create what is missing and return `{dataset, alreadyLoaded, created}`; with `force` start over.

        Raises `JobRefused`: `sample_data_missing` without the pack's data, `sample_data_conflict` when the tenant has
        things of its own under the pack's keys or names.
        """
        return await self._loader().seed(run, services, force=force)

    async def unload(self, run: JobRun, services: SeedServices) -> dict[str, Any]:
        """Take out what seeding created and only that; return `{dataset, removed}`. Raises `JobRefused`."""
        return await self._loader().unload(run, services)

    def _loader(self) -> _Loader:
        try:
            return cast("_Loader", import_module(self._module))
        except ModuleNotFoundError as error:
            if error.name is not None and error.name.startswith("kaireon"):
                raise
            raise JobRefused("sample_data_missing", "install kaireon-worker[seed]") from error
