"""Fixtures of every suite: real servers, a fresh database per test, a tenant; and the rule about skips."""

from __future__ import annotations

from collections import Counter
from fnmatch import fnmatch
from pathlib import Path
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import hypothesis
import pytest
import redis

from kaireon_storage.postgres.database import Database
from kaireon_testkit.native.clones import cloned_database, migrated_template
from kaireon_testkit.native.stack import Stack, native_stack
from kaireon_testkit.platform.tenant import Tenant, create_tenant

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Iterator

CLONE = Path(__file__).parent.parent
_SKIPS = Path(__file__).parent / "SKIPS"
# Database 0 stays free for tests that look at a whole server.
_TEST_REDIS_DATABASE = 1

# A law says nothing about time: by itself Hypothesis fails one whose example takes 0.2 s, on a machine that does more.
hypothesis.settings.register_profile("timeless", deadline=None, suppress_health_check=[hypothesis.HealthCheck.too_slow])
hypothesis.settings.load_profile("timeless")


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Refuse tests of the same id: of those, xdist runs one."""
    twice = [node_id for node_id, count in Counter(item.nodeid for item in items).items() if count > 1]
    if twice:
        raise pytest.UsageError(f"several tests are called {twice[0]}")


@pytest.fixture(scope="session")
def clone() -> Path:
    """The root of the repository."""
    return CLONE


@pytest.fixture(scope="session")
def stack() -> Iterator[Stack]:
    """Real servers, started once for the session."""
    with native_stack(CLONE) as running:
        yield running


@pytest.fixture(scope="session")
def template_url(stack: Stack) -> Iterator[str]:
    """A migrated database to copy from; never connect to it."""
    with migrated_template(stack.postgres_url) as url:
        yield url


@pytest.fixture
def database_url(template_url: str) -> Iterator[str]:
    """The owner's URL of a fresh migrated database."""
    with cloned_database(template_url) as url:
        yield url


@pytest.fixture
async def database(database_url: str) -> AsyncIterator[Database]:
    """An opened pool on the fresh database."""
    opened = Database(database_url, application_name="tests")
    await opened.open()
    try:
        yield opened
    finally:
        await opened.close()


@pytest.fixture
def redis_url(stack: Stack) -> str:
    """An empty logical database of the Redis-protocol server."""
    url = urlunsplit(urlsplit(stack.redis_url)._replace(path=f"/{_TEST_REDIS_DATABASE}"))
    with redis.Redis.from_url(url) as client:
        client.flushdb()
    return url


@pytest.fixture
async def tenant(database: Database) -> Tenant:
    """A tenant with an API key per role."""
    return await create_tenant(database)


class _SkipRule:
    """Only what tests/SKIPS lists may skip; any other skip fails the run."""

    def __init__(self, allowed: tuple[str, ...]) -> None:
        self._allowed = allowed
        self._forbidden: list[str] = []

    def pytest_runtest_logreport(self, report: pytest.TestReport) -> None:
        if report.skipped and not hasattr(report, "wasxfail"):
            self._judge(report.nodeid)

    def pytest_collectreport(self, report: pytest.CollectReport) -> None:
        if report.skipped:
            self._judge(report.nodeid)

    def _judge(self, nodeid: str) -> None:
        if not any(fnmatch(nodeid, pattern) for pattern in self._allowed):
            self._forbidden.append(nodeid)

    @pytest.hookimpl(trylast=True)
    def pytest_sessionfinish(self, session: pytest.Session) -> None:
        if self._forbidden and session.exitstatus == pytest.ExitCode.OK:
            session.exitstatus = pytest.ExitCode.TESTS_FAILED

    def pytest_terminal_summary(self, terminalreporter: pytest.TerminalReporter) -> None:
        for nodeid in self._forbidden:
            terminalreporter.write_line(f"SKIPPED although tests/SKIPS does not list it: {nodeid}", red=True)


def allowed_skips(text: str) -> tuple[str, ...]:
    """Return the patterns in a SKIPS file: `pattern  # reason` per line. Raises `ValueError` for a missing reason."""
    patterns: list[str] = []
    for line in text.splitlines():
        pattern, _, reason = (part.strip() for part in line.partition("#"))
        if pattern and not reason:
            raise ValueError(f"tests/SKIPS: {pattern} has no reason")
        if pattern:
            patterns.append(pattern)
    return tuple(patterns)


def pytest_configure(config: pytest.Config) -> None:
    """Enforce tests/SKIPS."""
    config.pluginmanager.register(_SkipRule(allowed_skips(_SKIPS.read_text())))
