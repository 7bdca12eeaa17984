"""The chart, rendered by the real helm: each topology once a session."""

from __future__ import annotations

import os
import shutil
import subprocess
import tempfile
from functools import cache
from pathlib import Path
from typing import Any, cast

import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "helm"
HELM = ROOT / ".venv/bin/helm"
RELEASE = "shop"
# What each supported topology is rendered with.
TOPOLOGIES: dict[str, tuple[str, ...]] = {
    "base": (),
    "trial": ("ci/trial-values.yaml",),
    "external": ("ci/external-values.yaml",),
    "external-secrets": ("ci/external-secrets-values.yaml",),
    "overlay": ("values.yaml", "values-large.yaml"),
    "large": ("values-large.yaml", "ci/large-values.yaml"),
    "large-optional": ("values-large.yaml", "ci/large-values.yaml", "ci/large-optional-values.yaml"),
    "large-mcp": ("values-large.yaml", "ci/large-values.yaml", "ci/large-mcp-values.yaml"),
}
# As a template beside the chart's own: notes are not part of what `helm template` prints.
_NOTES = """\
apiVersion: v1
kind: ConfigMap
metadata: {name: told}
data: {notes: {{ include "kaireon.notes" . | quote }}}
"""

Object = dict[str, Any]


class Refused(Exception):
    """Helm would not render; the message is what it said."""


def helm(*arguments: str) -> str:
    """Return what helm prints. Raises `Refused` with what it says on stderr."""
    with tempfile.TemporaryDirectory() as home:
        places = {f"HELM_{kind}_HOME": home for kind in ("CACHE", "CONFIG", "DATA")}
        done = subprocess.run(
            [HELM, *arguments], env=os.environ | places, capture_output=True, text=True, check=False, timeout=60
        )
    if done.returncode != 0:
        raise Refused(done.stdout + done.stderr)
    return done.stdout


def flags(files: tuple[str, ...], sets: tuple[str, ...]) -> list[str]:
    """Return the flags for files of values (below the chart) and settings (`key=value`)."""
    return [*(f"--values={CHART / name}" for name in files), *(f"--set={each}" for each in sets)]


@cache
def render(topology: str = "base", *sets: str, release: str = RELEASE) -> list[Object]:
    """Return the objects of a topology with some settings changed."""
    text = helm("template", release, str(CHART), "--namespace=decisions", *flags(TOPOLOGIES[topology], sets))
    # The dashboards make it long: libyaml reads it ten times as fast.
    objects = cast("list[Object | None]", list(yaml.load_all(text, yaml.CSafeLoader)))
    return [each for each in objects if each is not None]


@cache
def notes(topology: str = "base", *sets: str) -> str:
    """Return what helm tells whoever installs that topology."""
    with tempfile.TemporaryDirectory() as folder:
        chart = Path(folder) / "kaireon"
        shutil.copytree(CHART, chart)
        (chart / "templates/told.yaml").write_text(_NOTES)
        chosen = flags(TOPOLOGIES[topology], sets)
        text = helm("template", RELEASE, str(chart), "--show-only=templates/told.yaml", *chosen)
    return str(yaml.safe_load(text)["data"]["notes"])


def find(objects: list[Object], kind: str, name: str) -> Object:
    """Return the object of that kind whose name is the release's and then this."""
    return one([each for each in of_kind(objects, kind) if each["metadata"]["name"] == f"{RELEASE}-{name}"], name)


def of_kind(objects: list[Object], kind: str) -> list[Object]:
    """Return the objects of a kind."""
    return [each for each in objects if each["kind"] == kind]


def one(found: list[Object], what: str) -> Object:
    """Return the only object."""
    assert len(found) == 1, f"{len(found)} of {what}"
    return found[0]


def pod_of(thing: Object) -> Object | None:
    """Return the pod template of an object, None when it makes no pods."""
    match thing["kind"]:
        case "Deployment" | "StatefulSet" | "Job":
            return cast("Object", thing["spec"]["template"])
        case "CronJob":
            return cast("Object", thing["spec"]["jobTemplate"]["spec"]["template"])
        case _:
            return None


def containers_of(pod: Object) -> list[Object]:
    """Return the containers of a pod, sidecars first."""
    return [*pod["spec"].get("initContainers", []), *pod["spec"]["containers"]]
