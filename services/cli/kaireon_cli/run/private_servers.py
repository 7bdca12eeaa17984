"""Postgres and a Redis-protocol server of our own, where the environment names none."""

from __future__ import annotations

import asyncio
import secrets
import signal
import time
from collections.abc import Callable

import msgspec

from kaireon_cli.clone import Clone
from kaireon_testkit.native.home import find_home
from kaireon_testkit.native.ports import free_port
from kaireon_testkit.native.postgres import PostgresServer, prepare_postgres
from kaireon_testkit.native.spawn import Command
from kaireon_testkit.native.valkey import ValkeyServer, prepare_valkey

_POLL_SECONDS = 0.05
_LOGIN_ROLE = "kaireon_login"


class ServerSilent(Exception):
    """A private server does not answer; its own lines above say why."""


class PrivateServer(msgspec.Struct, frozen=True, kw_only=True):
    """One private server, ready to be started."""

    name: str
    service: str
    command: Command
    is_answering: Callable[[], bool]
    force_signal: int


class PrivatePostgres(msgspec.Struct, frozen=True, kw_only=True):
    """The private Postgres, and the URL that the tiers are given: a role without any right of its own."""

    server: PostgresServer
    login_password: str

    @property
    def tier_url(self) -> str:
        """The URL of the tiers' login role."""
        return self.server.url_of("kaireon", _LOGIN_ROLE, self.login_password)

    def supervised(self) -> PrivateServer:
        """Return how it is run; SIGQUIT is Postgres' immediate shutdown, of all its processes."""
        return PrivateServer(
            name="postgres",
            service="postgres",
            command=self.server.command(),
            is_answering=self.server.is_answering,
            force_signal=signal.SIGQUIT,
        )

    def create_login(self) -> None:
        """Let the tiers log in; the database must have been migrated."""
        self.server.create_login(_LOGIN_ROLE, self.login_password, ("kaireon_app", "kaireon_system"))


def private_postgres(clone: Clone) -> PrivatePostgres:
    """Prepare the Postgres of this clone on a free port. Raises `UnusableHome`."""
    server = prepare_postgres(find_home(clone.root, clone.var), free_port())
    return PrivatePostgres(server=server, login_password=secrets.token_urlsafe(24))


def private_valkey(clone: Clone) -> tuple[ValkeyServer, PrivateServer]:
    """Prepare the Redis-protocol server of this clone on a free port. Raises `UnusableHome`."""
    server = prepare_valkey(find_home(clone.root, clone.var), free_port())
    return server, PrivateServer(
        name="redis",
        service="redis",
        command=server.command(),
        is_answering=server.is_answering,
        force_signal=signal.SIGKILL,
    )


async def wait_until_answering(server: PrivateServer, *, seconds: float) -> None:
    """Return once the server answers. Raises `ServerSilent` when it does not in time."""
    deadline = time.monotonic() + seconds
    while not await asyncio.to_thread(server.is_answering):
        if time.monotonic() > deadline:
            raise ServerSilent(f"the private {server.name} does not answer within {seconds:g} s; see its lines above")
        await asyncio.sleep(_POLL_SECONDS)
