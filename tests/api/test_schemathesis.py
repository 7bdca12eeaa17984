"""The OpenAPI document against the running API: whatever the document allows or forbids, what it says holds.

Bounded and repeatable: a few generated requests for each operation, the same ones in every run.
"""

from __future__ import annotations

import asyncio
import os
import subprocess
import sys
import time
from collections.abc import Iterator, Mapping
from typing import Any

import httpx
import msgspec
import pytest
import schemathesis
from hypothesis import HealthCheck, settings
from schemathesis import checks
from schemathesis.config import (
    CoveragePhaseConfig,
    GenerationConfig,
    PhasesConfig,
    ProjectConfig,
    ProjectsConfig,
    SchemathesisConfig,
)
from schemathesis.specs.openapi import checks as openapi_checks

from kaireon_api.documentation import document_operations
from kaireon_api.routes import OPERATIONS
from kaireon_testkit.native.clones import cloned_database
from kaireon_testkit.native.ports import free_port
from kaireon_testkit.native.stack import Stack
from kaireon_testkit.platform.tenant import TEST_PEPPER, create_tenant_at

pytestmark = pytest.mark.slow

CHECKS: list[Any] = [
    checks.not_a_server_error,
    openapi_checks.status_code_conformance,
    openapi_checks.content_type_conformance,
    openapi_checks.response_schema_conformance,
    openapi_checks.response_headers_conformance,
    openapi_checks.negative_data_rejection,
]

CONFIG = SchemathesisConfig(
    seed=20261120,
    projects=ProjectsConfig(
        default=ProjectConfig(
            phases=PhasesConfig(coverage=CoveragePhaseConfig(enabled=False)),
            generation=GenerationConfig(deterministic=True, with_security_parameters=False),
        )
    ),
)


@schemathesis.serializer("application/x-ndjson", "text/csv", "application/vnd.apache.parquet")
def as_bytes(_context: schemathesis.SerializationContext, value: Any) -> bytes:
    """Return an uploaded body as it is: the document says only that it is text or bytes."""
    return bytes(value) if isinstance(value, bytes | bytearray) else str(value).encode("utf-8", "replace")


@pytest.fixture(scope="module")
def running(template_url: str, stack: Stack) -> Iterator[tuple[str, Mapping[str, str]]]:
    """A running API and the keys of its roles."""
    port = free_port()
    with cloned_database(template_url) as database_url:
        tenant = asyncio.run(create_tenant_at(database_url))
        environment = {
            **os.environ,
            "DATABASE_URL": database_url,
            "REDIS_URL": stack.redis_url,
            "API_KEY_PEPPER": TEST_PEPPER,
            "API_PORT": str(port),
            "WORKER_INPROCESS": "0",
        }
        with subprocess.Popen((sys.executable, "-m", "kaireon_api"), env=environment) as process:
            url = f"http://127.0.0.1:{port}"
            try:
                wait_until_ready(url)
                yield url, tenant.api_keys
            finally:
                process.kill()


def wait_until_ready(url: str) -> None:
    deadline = time.monotonic() + 120
    while time.monotonic() < deadline:
        try:
            if httpx.get(f"{url}/api/ready").status_code == 200:
                return
        except httpx.TransportError:
            pass
        time.sleep(0.1)
    raise TimeoutError(url)


# What is served is this document: see test_openapi.
schema = schemathesis.openapi.from_dict(msgspec.json.decode(document_operations(OPERATIONS).document), config=CONFIG)


# Without a parameter of its own, schemathesis 4.32 gives every operation the same id under pytest 9.2.
@pytest.mark.parametrize("role", ["admin", "viewer"])
@schema.parametrize()  # pyright: ignore[reportUntypedFunctionDecorator]  schemathesis leaves it untyped
@settings(
    max_examples=6,
    deadline=None,
    derandomize=True,
    database=None,
    suppress_health_check=[HealthCheck.filter_too_much, HealthCheck.too_slow, HealthCheck.function_scoped_fixture],
)
def test_the_api_does_what_its_document_says(
    case: schemathesis.Case[Any], running: tuple[str, Mapping[str, str]], role: str
) -> None:
    url, api_keys = running
    case.call_and_validate(base_url=url, headers={"X-API-Key": api_keys[role]}, checks=CHECKS)
