"""What the API counts is in the catalogue, and the catalogue is served."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

from kaireon_runtime.catalogue import CATALOGUE

if TYPE_CHECKING:
    from tests.api.conftest import Clients
    from tests.api.shop import Shop

GROUPED = (
    "kaireon_commit_group_size",
    "kaireon_decision_pipeline_duration_ms",
    "kaireon_decision_flow_execution_latency_ms",
    "kaireon_qualification_filter_latency_ms",
    "kaireon_contact_policy_filter_latency_ms",
    "kaireon_scoring_latency_ms",
    "kaireon_ranking_latency_ms",
)


async def test_every_metric_of_the_catalogue_is_served(api: Clients) -> None:
    answer = await api.anonymous.get("/api/metrics")

    assert answer.headers["content-type"].startswith("text/plain")
    served = {family.name for family in text_string_to_metric_families(answer.text)}
    assert {metric.name.removesuffix("_total") for metric in CATALOGUE} <= served


async def test_requests_are_counted_by_route_and_not_by_path(api: Clients) -> None:
    for name in ("a", "b"):
        await api.admin.delete(f"/api/v1/api-keys/{name}")
        await api.admin.get(f"/api/v1/nowhere/{name}")
        await api.admin.request(f"X{name}", "/api/health")

    text = (await api.anonymous.get("/api/metrics")).text
    counted = {
        (sample.labels["method"], sample.labels["route"], sample.labels["status"]): sample.value
        for family in text_string_to_metric_families(text)
        for sample in family.samples
        if sample.name == "kaireon_http_request_duration_seconds_count"
    }
    assert counted["DELETE", "/api/v1/api-keys/{id}", "404"] == 2
    assert counted["GET", "unmatched", "404"] == 2
    assert counted["other", "unmatched", "405"] == 2


async def test_stages_are_timed_for_everybody_and_told_to_those_who_ask(shop: Shop) -> None:
    silent = await shop.api.viewer.post("/api/v1/recommend", json={"customerId": "1", "channel": "web"})
    asked = await shop.api.viewer.post("/api/v1/recommend", json={"customerId": "2", "channel": "web", "debug": True})

    text = (await shop.api.anonymous.get("/api/metrics")).text
    counts = {sample.name: sample.value for family in text_string_to_metric_families(text) for sample in family.samples}
    assert {name: counts[f"{name}_count"] for name in GROUPED} == dict.fromkeys(GROUPED, 2)
    assert "stagesMs" not in silent.json()["meta"]
    assert asked.json()["meta"]["stagesMs"]["ranking"] > 0
