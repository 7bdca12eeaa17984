"""What the chart asks of operators, against their own schemas: KEDA, the Prometheus Operator, External Secrets.

Their modules are fetched from the Go module proxy, which is plain HTTP: no Go is needed.
"""

from __future__ import annotations

import io
import os
import zipfile
from functools import cache
from pathlib import Path
from typing import Any, cast

import httpx
import jsonschema
import pytest
import yaml

from tests.helm.rendering import TOPOLOGIES, Object, render

pytestmark = pytest.mark.backends
PROXY = "https://proxy.golang.org"
MOST_BYTES = 64 * 1024 * 1024
FETCH_SECONDS = 60
KEDA = ("github.com/kedacore/keda/v2", "v2.21.0", "config/crd/bases")
PROMETHEUS = ("github.com/prometheus-operator/prometheus-operator", "v0.85.0", "example/prometheus-operator-crd")
EXTERNAL_SECRETS = ("github.com/external-secrets/external-secrets", "v1.3.2", "config/crds/bases")
# kind -> the module that has its definition, and its file there
KINDS = {
    "ScaledObject": (KEDA, "keda.sh_scaledobjects.yaml"),
    "TriggerAuthentication": (KEDA, "keda.sh_triggerauthentications.yaml"),
    "ServiceMonitor": (PROMETHEUS, "monitoring.coreos.com_servicemonitors.yaml"),
    "PrometheusRule": (PROMETHEUS, "monitoring.coreos.com_prometheusrules.yaml"),
    "ExternalSecret": (EXTERNAL_SECRETS, "external-secrets.io_externalsecrets.yaml"),
}


def fetched(module: str, version: str) -> bytes:
    """Return a module's zip, fetched once for this user; skips where the proxy cannot be reached."""
    home = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kaireon"
    kept = home / f"{module.replace('/', '_')}-{version}.zip"
    if not kept.is_file():
        content = bytearray()
        try:
            with httpx.stream("GET", f"{PROXY}/{module}/@v/{version}.zip", timeout=FETCH_SECONDS) as answer:
                answer.raise_for_status()
                for chunk in answer.iter_bytes():
                    content += chunk
                    assert len(content) <= MOST_BYTES
        except httpx.HTTPError as error:
            pytest.skip(f"{PROXY} cannot be reached: {error}")
        home.mkdir(parents=True, exist_ok=True)
        fetching = kept.with_suffix(f".{os.getpid()}")
        fetching.write_bytes(content)
        fetching.rename(kept)
    return kept.read_bytes()


@cache
def schema_of(kind: str, version: str) -> Object:
    """Return the schema of one version of a kind, which refuses fields that it does not name."""
    (module, release, folder), file = KINDS[kind]
    with zipfile.ZipFile(io.BytesIO(fetched(module, release))) as archive:
        definition = yaml.safe_load(archive.read(f"{module}@{release}/{folder}/{file}"))
    versions = {each["name"]: each["schema"]["openAPIV3Schema"] for each in definition["spec"]["versions"]}
    return cast("Object", closed(versions[version]))


def closed(schema: Any) -> Any:
    """Return the schema without room for unknown fields: a cluster would drop them without a word."""
    if isinstance(schema, list):
        return [closed(each) for each in cast("list[Any]", schema)]
    if not isinstance(schema, dict):
        return schema
    named = {key: closed(each) for key, each in cast("Object", schema).items()}
    is_open = named.get("x-kubernetes-preserve-unknown-fields") or "additionalProperties" in named
    if named.get("type") == "object" and isinstance(named.get("properties"), dict) and not is_open:
        named["additionalProperties"] = False
    return named


def check(thing: Object) -> None:
    """Raises `jsonschema.ValidationError` for what the operator's schema refuses."""
    schema = schema_of(thing["kind"], thing["apiVersion"].rpartition("/")[2])
    jsonschema.Draft202012Validator(schema).validate(thing)


def of_operators() -> list[Object]:
    """Return what the topologies ask of operators, and what the buses and tiers beyond them would."""
    more = render("large-optional", "mlWorker.keda.minReplicas=0")
    return [each for each in [*more, *(one for name in TOPOLOGIES for one in render(name))] if each["kind"] in KINDS]


def test_operators_understand_what_the_chart_asks_of_them() -> None:
    asked = of_operators()
    assert {each["kind"] for each in asked} == set(KINDS)
    for each in asked:
        check(each)


@pytest.mark.parametrize("kind", KINDS)
def test_a_field_that_nobody_knows_is_refused(kind: str) -> None:
    asked = next(each for each in of_operators() if each["kind"] == kind)
    with pytest.raises(jsonschema.ValidationError):
        check({**asked, "spec": {**asked["spec"], "planted": 1}})


def test_a_target_that_is_no_text_is_refused() -> None:
    asked = next(each for each in of_operators() if each["kind"] == "ScaledObject")
    (trigger,) = asked["spec"]["triggers"]
    wrong = {**trigger, "metadata": {**trigger["metadata"], "targetQueryValue": 2}}
    with pytest.raises(jsonschema.ValidationError, match="2 is not of type 'string'"):
        check({**asked, "spec": {**asked["spec"], "triggers": [wrong]}})
