"""A session with servers that speak CQL, from asyncio: the driver answers in threads of its own."""

from __future__ import annotations

import asyncio
import ssl
import time
from collections.abc import Sequence
from functools import partial
from typing import Any

import msgspec
from cassandra import ConsistencyLevel, DriverException, InvalidRequest
from cassandra.auth import PlainTextAuthProvider
from cassandra.cluster import EXEC_PROFILE_DEFAULT, Cluster, ExecutionProfile, NoHostAvailable
from cassandra.policies import DCAwareRoundRobinPolicy, TokenAwarePolicy
from cassandra.query import dict_factory  # pyright: ignore[reportUnknownVariableType]

from kaireon_application.customers.interaction_store import StoreRefusal
from kaireon_application.errors import Unavailable
from kaireon_runtime.store_settings import CqlStore
from kaireon_storage.interactions.threads import BoundedThreads

_CONNECT_SECONDS = 3
# After a connection that failed nobody tries for so long: each attempt takes a thread for seconds.
_PAUSE_SECONDS = 1.0


class CqlPage(msgspec.Struct, frozen=True, kw_only=True):
    """Some rows; the result goes on at `position`, or is over without one."""

    rows: list[dict[str, Any]]
    position: bytes | None


class CqlSession:
    """Connects with the first call, and again after a failure; raises `Unavailable` while that fails."""

    def __init__(self, settings: CqlStore, timeout_seconds: float) -> None:
        """Describe the servers; nothing is connected before the first call."""
        self._settings = settings
        self._timeout_seconds = timeout_seconds
        self._threads = BoundedThreads(2, "cql")
        self._connecting = asyncio.Lock()
        self._cluster: Any = None
        self._session: Any = None
        self._prepared: dict[str, Any] = {}
        self._retry_at = 0.0

    async def run(
        self, statement: str, values: Sequence[Any], *, page_rows: int | None = None, position: bytes | None = None
    ) -> CqlPage:
        """Run a statement, prepared once; all of them can be repeated without harm. Raises `StoreRefusal` too."""
        prepared = await self._prepare(statement)
        try:
            bound = prepared.bind(values)
            bound.fetch_size = page_rows
            return await self._answer(bound, position)
        except InvalidRequest as error:
            raise StoreRefusal(f"{self._settings.backend} refused: {error}") from error
        except (DriverException, NoHostAvailable, OSError) as error:
            raise Unavailable(f"{self._settings.backend} cannot serve: {error}") from error

    async def missing(self, table: str) -> str | None:
        """Return what is not there: the keyspace, or the table in it; None when both are."""
        await self._connected()
        keyspace = self._cluster.metadata.keyspaces.get(self._settings.keyspace)
        if keyspace is None:
            return f"keyspace {self._settings.keyspace}"
        return None if table in keyspace.tables else f"table {self._settings.keyspace}.{table}"

    async def close(self) -> None:
        """End the connections."""
        if self._cluster is not None:
            await self._threads.run(self._cluster.shutdown)
        self._threads.close()

    async def _answer(self, bound: Any, position: bytes | None) -> CqlPage:
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()
        response = self._session.execute_async(bound, paging_state=position)

        def end(error: BaseException | None) -> None:
            loop.call_soon_threadsafe(_end, done, error)

        response.add_callbacks(lambda _rows: end(None), end)  # pyright: ignore[reportUnknownLambdaType]
        await done
        result = response.result()
        return CqlPage(rows=list(result.current_rows or ()), position=result.paging_state)

    async def _prepare(self, statement: str) -> Any:
        await self._connected()
        if statement not in self._prepared:
            try:
                prepared = await self._threads.run(lambda: self._session.prepare(statement))
            except (DriverException, NoHostAvailable, OSError) as error:
                raise Unavailable(f"{self._settings.backend} cannot serve: {error}") from error
            prepared.is_idempotent = True
            self._prepared[statement] = prepared
        return self._prepared[statement]

    async def _connected(self) -> None:
        if self._session is not None:
            return
        async with self._connecting:
            if self._session is not None:
                return
            if time.monotonic() < self._retry_at:
                raise Unavailable(f"{self._settings.backend} could not be reached a moment ago")
            try:
                connect = partial(_connect, self._settings, self._profile())
                self._cluster, self._session = await self._threads.run(connect)
            except (DriverException, NoHostAvailable, OSError) as error:
                self._retry_at = time.monotonic() + _PAUSE_SECONDS
                raise Unavailable(f"{self._settings.backend} cannot be reached: {error}") from error

    def _profile(self) -> ExecutionProfile:
        # Without a name the driver takes the datacenter of the contact points.
        datacenter = DCAwareRoundRobinPolicy(local_dc=self._settings.local_datacenter or "")
        return ExecutionProfile(
            load_balancing_policy=TokenAwarePolicy(datacenter),
            consistency_level=ConsistencyLevel.LOCAL_QUORUM,
            request_timeout=self._timeout_seconds,
            row_factory=dict_factory,
        )


def _connect(settings: CqlStore, profile: ExecutionProfile) -> tuple[Any, Any]:
    cluster = Cluster(
        contact_points=list(settings.contact_points),
        port=settings.port,
        auth_provider=auth_provider(settings),
        ssl_context=_ssl_context(settings),
        ssl_options=_server_name(settings),
        execution_profiles={EXEC_PROFILE_DEFAULT: profile},
        connect_timeout=_CONNECT_SECONDS,
        control_connection_timeout=_CONNECT_SECONDS,
    )
    try:
        return cluster, cluster.connect()
    except BaseException:
        cluster.shutdown()
        raise


def auth_provider(settings: CqlStore) -> Any:
    """Return how the servers are told who we are, None where they do not ask."""
    if settings.username is not None and settings.password is not None:
        return PlainTextAuthProvider(settings.username, settings.password.get_secret_value())
    if settings.signing_region is None:
        return None
    # Only Keyspaces signs: its package and boto3 are not needed elsewhere.
    from boto3.session import Session  # noqa: PLC0415
    from cassandra_sigv4.auth import SigV4AuthProvider  # noqa: PLC0415

    return SigV4AuthProvider(Session(region_name=settings.signing_region))


def _ssl_context(settings: CqlStore) -> ssl.SSLContext | None:
    if not settings.is_encrypted:
        return None
    context = ssl.create_default_context(cafile=settings.ca_file)
    # Nodes are found by address; an authority of one's own signs nodes only, so its signature says enough.
    context.check_hostname = settings.signing_region is not None or settings.ca_file is None
    return context


def _server_name(settings: CqlStore) -> dict[str, str] | None:
    # Every node of Keyspaces shows the certificate of the endpoint.
    is_public = settings.is_encrypted and (settings.signing_region is not None or settings.ca_file is None)
    return {"server_hostname": settings.contact_points[0]} if is_public else None


def _end(done: asyncio.Future[None], error: BaseException | None) -> None:
    if done.done():  # whoever waited has given up
        return
    if error is None:
        done.set_result(None)
    else:
        done.set_exception(error)
