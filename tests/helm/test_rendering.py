"""Every topology passes helm's own lint and Kubernetes' schemas, and every pod runs without privileges."""

from __future__ import annotations

import json
from functools import cache
from typing import Any

import kubernetes_validate
import pytest
from kubernetes_validate import utils

from tests.helm.rendering import CHART, RELEASE, TOPOLOGIES, Object, containers_of, flags, helm, pod_of, render

# Kinds of operators: their schemas are no part of Kubernetes; tests/backends/test_chart_operators.py has them.
OPERATORS = {"ScaledObject", "TriggerAuthentication", "ServiceMonitor", "PrometheusRule", "ExternalSecret"}
OLDEST = (1, 29)
SELECTORS = {"Service": "selector", "PodDisruptionBudget": "selector", "NetworkPolicy": "podSelector"}
_SCHEMAS = cache(utils.schema_contents)
VERSIONS = [each for each in dict.fromkeys(utils.all_versions()) if tuple(map(int, each.split(".")[:2])) >= OLDEST]


@pytest.fixture(autouse=True)
def read_once(monkeypatch: pytest.MonkeyPatch) -> None:
    """Its schemas are megabytes, and it reads them anew for every object."""
    monkeypatch.setattr(utils, "schema_contents", _SCHEMAS)


def everything() -> list[Object]:
    """Return the objects of all topologies, those that are alike once."""
    found = {json.dumps(each, sort_keys=True): each for topology in TOPOLOGIES for each in render(topology)}
    return list(found.values())


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_lint_has_nothing_to_say(topology: str) -> None:
    said = helm("lint", str(CHART), "--strict", *flags(TOPOLOGIES[topology], ()))
    assert "1 chart(s) linted, 0 chart(s) failed" in said


def test_there_are_versions_to_hold_it_against() -> None:
    assert VERSIONS[0].startswith("1.29")
    assert len(VERSIONS) >= 9


@pytest.mark.parametrize("version", VERSIONS)
def test_objects_are_those_of_kubernetes(version: str) -> None:
    for each in everything():
        if each["kind"] not in OPERATORS:
            # Raises for a kind without a schema too.
            kubernetes_validate.validate(each, version, strict=True)


def test_the_validator_refuses_what_kubernetes_does_not_know() -> None:
    planted: dict[str, Any] = {"apiVersion": "v1", "kind": "Service", "metadata": {"name": "a"}, "spec": {"prots": []}}
    with pytest.raises(kubernetes_validate.ValidationError):
        kubernetes_validate.validate(planted, VERSIONS[-1], strict=True)
    with pytest.raises(kubernetes_validate.SchemaNotFoundError):
        kubernetes_validate.validate({**planted, "kind": "Sevice"}, VERSIONS[-1], strict=True)


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_no_object_is_there_twice(topology: str) -> None:
    names = [(each["kind"], each["metadata"]["name"]) for each in render(topology)]
    assert len(names) == len(set(names))


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_pods_run_without_privileges(topology: str) -> None:
    for each in render(topology):
        if (pod := pod_of(each)) is None:
            continue
        spec = pod["spec"]
        assert spec["automountServiceAccountToken"] is False
        assert spec["enableServiceLinks"] is False
        assert spec["securityContext"]["runAsNonRoot"] is True
        assert spec["securityContext"]["seccompProfile"] == {"type": "RuntimeDefault"}
        is_ours = pod["metadata"]["labels"]["app.kubernetes.io/component"] not in {"postgres", "redis"}
        assert spec["securityContext"]["runAsUser"] == (10001 if is_ours else 999)
        for container in containers_of(pod):
            assert container["securityContext"] == {
                "allowPrivilegeEscalation": False,
                "readOnlyRootFilesystem": True,
                "runAsNonRoot": True,
                "capabilities": {"drop": ["ALL"]},
            }
            assert set(container["resources"]) == {"requests", "limits"}
            assert set(container["resources"]["limits"]) == {"cpu", "memory"}
            assert ":" in container["image"]


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_service_accounts_have_no_token_and_every_pod_has_one_of_them(topology: str) -> None:
    objects = render(topology)
    accounts = {each["metadata"]["name"] for each in objects if each["kind"] == "ServiceAccount"}
    for each in objects:
        if each["kind"] == "ServiceAccount":
            assert each["automountServiceAccountToken"] is False
        pod = pod_of(each)
        if pod is not None and each["kind"] in {"Deployment", "CronJob"}:
            assert pod["spec"]["serviceAccountName"] in accounts


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_what_is_selected_is_there(topology: str) -> None:
    """Services, budgets, policies and scalers find the pods that they are for."""
    objects = render(topology)
    labels = [pod["metadata"]["labels"] for each in objects if (pod := pod_of(each)) is not None]
    deployments = {each["metadata"]["name"] for each in objects if each["kind"] == "Deployment"}
    for each in objects:
        spec = each.get("spec", {})
        selector: Object | None = spec.get(SELECTORS.get(each["kind"], ""))
        if selector is not None:
            wanted: Object = selector.get("matchLabels", selector)
            assert any(wanted.items() <= those.items() for those in labels), each["metadata"]["name"]
        if "scaleTargetRef" in spec:
            assert spec["scaleTargetRef"]["name"] in deployments


@pytest.mark.parametrize("topology", TOPOLOGIES)
def test_what_is_mounted_and_read_is_there(topology: str) -> None:
    objects = render(topology)
    maps = {each["metadata"]["name"]: set(each["data"]) for each in objects if each["kind"] == "ConfigMap"}
    for each in objects:
        if (pod := pod_of(each)) is None:
            continue
        volumes = {volume["name"] for volume in pod["spec"].get("volumes", [])}
        claims = {claim["metadata"]["name"] for claim in each["spec"].get("volumeClaimTemplates", [])}
        for volume in pod["spec"].get("volumes", []):
            assert volume.get("configMap", {}).get("name", RELEASE) in {RELEASE, *maps}
        for container in containers_of(pod):
            assert {mount["name"] for mount in container["volumeMounts"]} <= volumes | claims
            for variable in container.get("env", []):
                if (reference := variable.get("valueFrom", {}).get("configMapKeyRef")) is not None:
                    assert reference["key"] in maps[reference["name"]]


def test_a_long_release_gives_way_to_the_component() -> None:
    long = "the-decisioning-of-a-shop-with-a-very-long-name-indeed"[:53]
    for each in render("large-optional", release=long):
        most = 52 if each["kind"] == "CronJob" else 63
        assert len(each["metadata"]["name"]) <= most
    names = {each["metadata"]["name"] for each in render("large-optional", release=long)}
    assert any(name.endswith("-cron-engagement-health-recompute") for name in names)
    assert any(name.endswith("-outbox-publisher") for name in names)
