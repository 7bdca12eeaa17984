"""What the API counts is in the catalogue, and the catalogue is served."""

from __future__ import annotations

from typing import TYPE_CHECKING

from prometheus_client.parser import text_string_to_metric_families

from kaireon_runtime.catalogue import CATALOGUE

if TYPE_CHECKING:
    from tests.api.conftest import Clients


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
