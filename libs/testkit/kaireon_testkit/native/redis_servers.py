"""Redis-protocol servers in every arrangement that a URL can name: alone, behind TLS, with Sentinels, as a Cluster."""

from __future__ import annotations

import asyncio
import ssl
import subprocess
import threading
import time
from collections.abc import Callable, Generator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import Any, cast

import redis

from kaireon_testkit.native.home import valkey_program
from kaireon_testkit.native.ports import free_port

_SECONDS = 30.0
_SLOTS = 16_384


class RedisServer:
    """One server that can be killed and started again."""

    def __init__(self, folder: Path, *arguments: str, sentinel: Path | None = None) -> None:
        """Describe the server; a configuration file makes it a Sentinel."""
        folder.mkdir(parents=True, exist_ok=True)
        self.port = free_port()
        self.url = f"redis://127.0.0.1:{self.port}/0"
        kind = [str(sentinel), "--sentinel"] if sentinel is not None else ["--save", ""]
        places = ["--port", str(self.port), "--bind", "127.0.0.1", "--dir", str(folder)]
        self._command = [str(valkey_program()), *kind, *places, *arguments]
        self._process: subprocess.Popen[bytes] | None = None

    def start(self, *more: str) -> None:
        """Start it, this time with more arguments, and return once it answers."""
        # As Python does, the server ignores the signal of a file that may not grow: it is told by an error.
        self._process = subprocess.Popen([*self._command, *more], stdout=subprocess.DEVNULL, restore_signals=False)
        until(self._answers)

    def kill(self) -> None:
        """End it with SIGKILL."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None

    def ask(self, *words: str | int) -> object:
        """Return what it answers to a command."""
        with redis.Redis(host="127.0.0.1", port=self.port, socket_timeout=5, protocol=2) as client:
            return cast("Any", client).execute_command(*words)

    def _answers(self) -> bool:
        try:
            self.ask("PING")
        except redis.AuthenticationError:
            return True
        except redis.RedisError as error:
            return "NOAUTH" in str(error)
        return True


@contextmanager
def running(*servers: RedisServer) -> Generator[None]:
    """Start servers; kill them at the end."""
    with ExitStack() as stack:
        for server in servers:
            stack.callback(server.kill)
            server.start()
        yield


@contextmanager
def redis_cluster(folder: Path, node_count: int = 3) -> Generator[list[RedisServer]]:
    """Start a Cluster of primaries with all slots; its URL is `cluster_url` of them."""
    # By themselves they would take ports in the kernel's ephemeral range, where others' connections are.
    buses = [free_port() for _ in range(node_count)]
    common = ("--cluster-enabled", "yes", "--cluster-node-timeout", "2000", "--cluster-port")
    nodes = [RedisServer(folder / f"node{number}", *common, str(bus)) for number, bus in enumerate(buses)]
    with running(*nodes):
        for number, node in enumerate(nodes):
            first, end = (_SLOTS * edge // node_count for edge in (number, number + 1))
            node.ask("CLUSTER", "ADDSLOTS", *range(first, end))
            node.ask("CLUSTER", "MEET", "127.0.0.1", nodes[0].port, buses[0])
        until(lambda: all(_is_whole(node, node_count) for node in nodes))
        yield nodes


def cluster_url(nodes: Sequence[RedisServer]) -> str:
    """Return the URL of a Cluster."""
    return "redis+cluster://" + ",".join(f"127.0.0.1:{node.port}" for node in nodes)


def _is_whole(node: RedisServer, node_count: int) -> bool:
    told = str(node.ask("CLUSTER", "INFO"))
    return "cluster_state:ok" in told and f"cluster_known_nodes:{node_count}" in told


@contextmanager
def redis_with_sentinels(folder: Path, master: str = "main") -> Generator[tuple[str, RedisServer, RedisServer]]:
    """Start a primary, a replica and three Sentinels; yield their URL, the primary and the replica."""
    primary = RedisServer(folder / "primary")
    with running(primary):
        replica = RedisServer(folder / "replica", "--replicaof", "127.0.0.1", str(primary.port))
        sentinels = [_sentinel(folder / f"sentinel{number}", master, primary.port) for number in range(3)]
        with running(replica, *sentinels):
            until(lambda: all(_knows_all(one, master) for one in sentinels))
            hosts = ",".join(f"127.0.0.1:{one.port}" for one in sentinels)
            yield f"redis+sentinel://{hosts}/{master}/0", primary, replica


def _sentinel(folder: Path, master: str, port: int) -> RedisServer:
    folder.mkdir(parents=True)
    file = folder / "sentinel.conf"
    file.write_text(
        f"sentinel monitor {master} 127.0.0.1 {port} 2\nsentinel down-after-milliseconds {master} 1000\n"
        f"sentinel failover-timeout {master} 5000\n"
    )
    return RedisServer(folder, sentinel=file)


def _knows_all(sentinel: RedisServer, master: str) -> bool:
    with redis.Redis(host="127.0.0.1", port=sentinel.port, decode_responses=True) as client:
        state: Any = client.sentinel_master(master)
    return (int(state["num-other-sentinels"]), int(state["num-slaves"])) == (2, 1)


@contextmanager
def tls_in_front(port: int, context: ssl.SSLContext) -> Generator[int]:
    """Speak TLS on a port, and pass everything on to the server on another; yield the port."""
    started, stop, ports = threading.Event(), asyncio.Event(), list[int]()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        inner_reader, inner_writer = await asyncio.open_connection("127.0.0.1", port)
        # At the end it is cancelled, which the server would take for an error.
        with suppress(asyncio.CancelledError):
            await asyncio.gather(_carry(reader, inner_writer), _carry(inner_reader, writer))

    async def listen() -> None:
        async with await asyncio.start_server(serve, "127.0.0.1", 0, ssl=context) as server:
            ports.append(server.sockets[0].getsockname()[1])
            loops.append(asyncio.get_running_loop())
            started.set()
            await stop.wait()

    loops = list[asyncio.AbstractEventLoop]()
    thread = threading.Thread(target=lambda: asyncio.run(listen()), daemon=True)
    thread.start()
    started.wait(_SECONDS)
    try:
        yield ports[0]
    finally:
        loops[0].call_soon_threadsafe(stop.set)
        thread.join(_SECONDS)


async def _carry(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
    try:
        while piece := await reader.read(65_536):
            writer.write(piece)
            await writer.drain()
    except OSError:
        return
    finally:
        writer.transport.abort()


def until(holds: Callable[[], bool]) -> None:
    """Wait until something holds. Raises `TimeoutError`."""
    deadline = time.monotonic() + _SECONDS
    while True:
        try:
            if holds():
                return
        except redis.RedisError:
            pass
        if time.monotonic() > deadline:
            raise TimeoutError
        time.sleep(0.05)
