"""Apache Cassandra on one node, from Maven Central."""

from __future__ import annotations

import os
import socket
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from kaireon_testkit.native.jars import fetched_jars
from kaireon_testkit.native.ports import free_port
from kaireon_testkit.native.spawn import Command
from kaireon_testkit.native.stack import running

VERSION = "5.0.2"
_MAIN = "org.apache.cassandra.service.CassandraDaemon"
_CONFIGURATION = """cluster_name: tests
num_tokens: 1
partitioner: org.apache.cassandra.dht.Murmur3Partitioner
seed_provider:
  - class_name: org.apache.cassandra.locator.SimpleSeedProvider
    parameters: [{{seeds: "127.0.0.1:{storage}"}}]
listen_address: 127.0.0.1
rpc_address: 127.0.0.1
storage_port: {storage}
ssl_storage_port: {encrypted}
native_transport_port: {port}
endpoint_snitch: SimpleSnitch
data_file_directories: [{folder}/data]
commitlog_directory: {folder}/commitlog
saved_caches_directory: {folder}/caches
hints_directory: {folder}/hints
cdc_raw_directory: {folder}/cdc
commitlog_sync: periodic
commitlog_sync_period: 1000ms
auto_bootstrap: false
"""
_BASE = (
    *("jdk.internal.misc", "jdk.internal.ref", "jdk.internal.loader", "jdk.internal.reflect", "jdk.internal.math"),
    *("jdk.internal.module", "jdk.internal.util.jar", "java.lang", "java.lang.module", "java.lang.reflect"),
    *("java.lang.ref", "java.io", "java.net", "java.nio", "java.math", "java.time", "java.util"),
    *("java.util.concurrent", "java.util.concurrent.atomic", "java.util.concurrent.locks", "sun.nio.ch", "sun.nio.fs"),
)
_OTHER = (
    *("java.rmi/sun.rmi.registry", "java.rmi/sun.rmi.server", "java.rmi/sun.rmi.transport"),
    *("java.rmi/sun.rmi.transport.tcp", "java.management/javax.management", "java.sql/java.sql"),
    *("java.management.rmi/com.sun.jmx.remote.internal.rmi", "jdk.management/com.sun.management.internal"),
    "jdk.unsupported/sun.misc",
)


@contextmanager
def cassandra(folder: Path) -> Generator[int]:
    """Run a node with empty data until the block ends; yield its CQL port.

    Raises `JarsUnavailable`, `ServerDidNotStart`.
    """
    jars, port = fetched_jars("org.apache.cassandra", "cassandra-all", VERSION), free_port()
    configuration = folder / "cassandra.yaml"
    text = _CONFIGURATION.format(port=port, storage=free_port(), encrypted=free_port(), folder=folder)
    configuration.write_text(text)
    command = Command(
        argv=("java", *_options(jars, folder, configuration), "-cp", f"{jars}/*", _MAIN),
        environment={"PATH": os.environ["PATH"]},
        directory=str(folder),
    )
    with running(command, lambda: _is_listening(port), log=folder / "cassandra.log"):
        yield port


def _options(jars: Path, folder: Path, configuration: Path) -> list[str]:
    opened = [f"java.base/{package}" for package in _BASE] + list(_OTHER)
    return [
        *("-Xms256m", "-Xmx768m", "-Xss1m", "-XX:TieredStopAtLevel=1", "-Djdk.attach.allowAttachSelf=true"),
        f"-javaagent:{next(jars.glob('jamm-*.jar'))}",
        *(f"--add-{how}={package}=ALL-UNNAMED" for package in opened for how in ("opens", "exports")),
        "-Dcassandra-foreground=yes",
        f"-Dcassandra.config=file://{configuration}",
        f"-Dcassandra.storagedir={folder}",
        # A node that is alone has nobody to wait for.
        *("-Dcassandra.skip_wait_for_gossip_to_settle=0", "-Dcassandra.ring_delay_ms=1"),
    ]


def _is_listening(port: int) -> bool:
    with socket.socket() as probe:
        probe.settimeout(2)
        return probe.connect_ex(("127.0.0.1", port)) == 0
