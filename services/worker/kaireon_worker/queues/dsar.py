"""`dsar-jobs`: hand out what is held about a customer, or erase it."""

from __future__ import annotations

from collections.abc import AsyncGenerator, Mapping
from contextlib import asynccontextmanager
from typing import Any

from kaireon_application.customers.customer_data import JOB_TYPES, erase_customer, export_customer
from kaireon_application.platform.job import JobHandler, JobRun
from kaireon_storage.interactions.opening import opened_stores
from kaireon_storage.postgres.customer_data import PostgresCustomerData
from kaireon_storage.postgres.customer_data_requests import PostgresCustomerDataRequests
from kaireon_storage.redis.cached_customer import RedisCachedCustomer
from kaireon_worker.services import Services, open_services
from kaireon_worker.settings import Settings


def dsar_handlers(settings: Settings) -> Mapping[str, JobHandler]:
    """Return the handlers of this queue's job types."""

    async def export(run: JobRun) -> dict[str, Any]:
        async with _opened(settings) as (services, store):
            return await export_customer(run, store, PostgresCustomerDataRequests(services.database))

    async def erase(run: JobRun) -> dict[str, Any]:
        async with _opened(settings) as (_, store):
            return await erase_customer(run, store)

    return {JOB_TYPES["export"]: export, JOB_TYPES["delete"]: erase}


@asynccontextmanager
async def _opened(settings: Settings) -> AsyncGenerator[tuple[Services, PostgresCustomerData]]:
    async with open_services(settings) as services, opened_stores(settings, settings.external_stores) as stores:
        yield services, PostgresCustomerData(services.database, RedisCachedCustomer(services.redis), stores)
