"""Tenant settings: every one has a value, a change merges at every depth."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from tests.api.conftest import Clients

PATH = "/api/v1/tenant-settings"


async def test_every_setting_has_a_value_from_the_start(api: Clients) -> None:
    settings = (await api.admin.get(PATH)).json()

    assert settings["retentionDays"] == 365
    assert settings["timezone"] == "UTC"
    assert settings["decisionTraceSampleRate"] == 1
    assert settings["fairnessPolicy"]["thresholds"]["disparateImpactRatio"] == 0.8


async def test_a_change_merges_at_every_depth_and_is_announced(api: Clients) -> None:
    tenants, tenant_id = api.app.services.tenants, api.tenant.tenant_id
    before = (await tenants.config_versions())[tenant_id]
    await api.admin.put(PATH, json={"fairnessPolicy": {"enabled": True, "thresholds": {"demographicParityGap": 0.1}}})

    changed = (await api.admin.put(PATH, json={"fairnessPolicy": {"thresholds": {"equalOpportunityGap": 0}}})).json()

    assert changed["fairnessPolicy"]["enabled"] is True
    assert changed["fairnessPolicy"]["thresholds"] == {
        "disparateImpactRatio": 0.8,
        "demographicParityGap": 0.1,
        "equalOpportunityGap": 0,
    }
    assert (await api.admin.get(PATH)).json() == changed
    assert (await tenants.config_versions())[tenant_id] == before + 2


async def test_what_is_read_can_be_written_back(api: Clients) -> None:
    settings = (await api.admin.get(PATH)).json()

    assert (await api.admin.put(PATH, json=settings)).json() == settings


WRONG: dict[str, dict[str, Any]] = {
    "$.timezone": {"timezone": "Mars/Olympus"},
    "$.holdoutPercentage": {"holdoutPercentage": 101},
    "$.defaultChannelTimeout": {"defaultChannelTimeout": 99},
    "$.mlWorker.url": {"mlWorker": {"url": "file:///etc/passwd"}},
    "$.retentionDays": {"retentionDays": None},
    "$.nonsense": {"nonsense": 1},
}


async def test_a_wrong_change_is_refused_and_nothing_is_written(api: Clients) -> None:
    before = (await api.admin.get(PATH)).json()

    for path, change in WRONG.items():
        answer = await api.admin.put(PATH, json={"theme": "dark", **change})
        assert answer.status_code == 400
        assert [problem["path"] for problem in answer.json()["error"]["details"]] == [path]

    assert (await api.admin.get(PATH)).json() == before


async def test_a_time_zone_is_no_path(api: Clients) -> None:
    for name in ("../etc/passwd", "/etc/passwd", "UTC\\..", " "):
        assert (await api.admin.put(PATH, json={"timezone": name})).status_code == 400
