"""Alive, ready, draining."""

from __future__ import annotations

from typing import TYPE_CHECKING

import pytest

from kaireon_api.app import build_app, opened

if TYPE_CHECKING:
    from kaireon_api.settings import Settings
    from tests.api.conftest import Clients


async def test_a_process_with_its_dependencies_is_ready(api: Clients) -> None:
    answer = await api.anonymous.get("/api/ready")

    assert answer.status_code == 200
    assert answer.json()["status"] == "ok"
    assert answer.json()["checks"]["redis"] == "ok"


async def test_without_postgres_it_is_alive_but_not_ready_and_comes_back_by_itself(api: Clients) -> None:
    async def gone() -> None:
        raise ConnectionError

    readiness = api.app.services.readiness
    readiness.require("another", gone)

    refused = await api.anonymous.get("/api/ready")
    assert refused.status_code == 503
    assert "another" in refused.json()["error"]["message"]
    assert refused.headers["retry-after"]
    assert (await api.anonymous.get("/api/health")).json() == {"status": "ok"}

    async def back() -> None:
        return

    readiness.require("another", back)
    assert (await api.anonymous.get("/api/ready")).status_code == 200


async def test_a_draining_process_is_not_ready_but_answers(api: Clients) -> None:
    api.app.services.readiness.drain()

    assert (await api.anonymous.get("/api/ready")).status_code == 503
    assert (await api.admin.get("/api/v1/tenant-settings")).status_code == 200


@pytest.mark.parametrize("path", ["/api/ready", "/api/v1/tenant-settings"])
async def test_without_redis_the_process_is_degraded_but_works(api: Clients, settings: Settings, path: str) -> None:
    without = build_app(settings.model_copy(update={"redis_url": "redis://127.0.0.1:1/0"}))
    async with opened(without.services), api.with_key(api.tenant.api_keys["admin"], without) as client:
        answer = await client.get(path)

    assert answer.status_code == 200
    if path == "/api/ready":
        assert (answer.json()["status"], answer.json()["checks"]["redis"]) == ("degraded", "degraded")
