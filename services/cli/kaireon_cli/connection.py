"""Where the command finds the product: the environment, else the stack that runs in this clone."""

from __future__ import annotations

from collections.abc import AsyncGenerator
from contextlib import asynccontextmanager

import msgspec

from kaireon_application.errors import KaireonError
from kaireon_application.platform.jobs import Jobs
from kaireon_cli.api_client import ApiClient
from kaireon_cli.clone import Clone, find_clone
from kaireon_cli.run_file import read_run_file
from kaireon_cli.settings import CommandSettings
from kaireon_runtime.settings import load
from kaireon_storage.broker.address import broker_or_refuse
from kaireon_storage.broker.announcer import BrokerAnnouncer
from kaireon_storage.postgres.database import Database
from kaireon_storage.postgres.jobs import PostgresJobBook

_ROLE = "editor"
_PEPPER_FILE = "api-key-pepper"


class NotConnected(KaireonError):
    """DATABASE_URL is not set, and nothing runs in this clone; set it, or start `make run`."""

    code = "NOT_CONNECTED"


class NoApi(KaireonError):
    """KAIREON_API_URL and KAIREON_API_KEY are not both set, and nothing runs here; set them, or start `make run`."""

    code = "NO_API"


class NoPepper(KaireonError):
    """API_KEY_PEPPER is not set, and this clone has made none; set it to the one that the API has."""

    code = "NO_PEPPER"


class Connection(msgspec.Struct, frozen=True, kw_only=True):
    """The URLs of one installation, and the pepper of its API keys where it is known."""

    database_url: str
    migration_url: str
    redis_url: str
    broker_url: str
    pepper: str | None

    def require_pepper(self) -> str:
        """Return the pepper. Raises `NoPepper`."""
        if self.pepper is None:
            raise NoPepper
        return self.pepper


def find_connection() -> Connection:
    """Return where the product is. Raises `NotConnected`; exits with code 2 for settings that cannot be."""
    settings, clone = load(CommandSettings), find_clone()
    given = settings.api_key_pepper
    pepper = given.get_secret_value() if given is not None else _kept_pepper(clone)
    if settings.database_url is not None:
        return Connection(
            database_url=settings.database_url,
            migration_url=settings.database_direct_url or settings.database_url,
            redis_url=settings.cache_url,
            broker_url=settings.broker_url,
            pepper=pepper,
        )
    running = read_run_file(clone.run_file)
    if running is None:
        raise NotConnected
    return Connection(
        database_url=running.database_url,
        migration_url=running.database_url,
        redis_url=running.redis_url,
        broker_url=settings.celery_broker_url or running.redis_url,
        pepper=pepper,
    )


def find_api(timeout_seconds: float) -> ApiClient:
    """Return the API as an editor, of the tenant that the key belongs to. Raises `NoApi`."""
    settings = load(CommandSettings)
    if settings.kaireon_api_url is not None and settings.kaireon_api_key is not None:
        key = settings.kaireon_api_key.get_secret_value()
        return ApiClient(settings.kaireon_api_url, key, timeout_seconds)
    running = read_run_file(find_clone().run_file)
    if running is None or settings.kaireon_api_url is not None:
        raise NoApi
    return ApiClient(running.api_url, running.api_keys[_ROLE], timeout_seconds)


def running_api() -> dict[str, str]:
    """Return the variables that name the API of the stack that runs here, for an editor.

    None where nothing runs, and where the environment names one.
    """
    settings, running = load(CommandSettings), read_run_file(find_clone().run_file)
    if running is None or settings.kaireon_api_url is not None or settings.kaireon_api_key is not None:
        return {}
    return {"kaireon_api_url": running.api_url, "kaireon_api_key": running.api_keys[_ROLE]}


def _kept_pepper(clone: Clone) -> str | None:
    file = clone.secrets / _PEPPER_FILE
    return file.read_text().strip() if file.is_file() else None


@asynccontextmanager
async def opened_database(connection: Connection) -> AsyncGenerator[Database]:
    """Open a small pool for one command."""
    database = Database(connection.database_url, max_connections=2, application_name="kaireon-cli")
    await database.open()
    try:
        yield database
    finally:
        await database.close()


@asynccontextmanager
async def opened_jobs(connection: Connection, database: Database) -> AsyncGenerator[Jobs]:
    """Open the way to queue jobs; exits with code 2 where the broker is none that Celery can use."""
    announcer = BrokerAnnouncer(broker_or_refuse(connection.broker_url))
    try:
        yield Jobs(PostgresJobBook(database), announcer)
    finally:
        await announcer.close()
