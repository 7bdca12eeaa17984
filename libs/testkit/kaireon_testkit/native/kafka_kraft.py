"""A current Apache Kafka in KRaft mode, assembled from its jars on Maven Central; needs `mvn` and Java 17."""

from __future__ import annotations

import base64
import os
import subprocess
import uuid
from pathlib import Path

from kaireon_testkit.native.jars import fetched_jars
from kaireon_testkit.native.ports import free_port
from kaireon_testkit.native.restartable import Restartable
from kaireon_testkit.native.spawn import Command

VERSION = "4.3.1"
_PROPERTIES = """process.roles=broker,controller
node.id=1
controller.quorum.voters=1@127.0.0.1:{controller}
listeners=PLAINTEXT://127.0.0.1:{port},CONTROLLER://127.0.0.1:{controller}
advertised.listeners=PLAINTEXT://127.0.0.1:{port}
controller.listener.names=CONTROLLER
log.dirs={folder}/data
num.partitions=3
offsets.topic.replication.factor=1
offsets.topic.num.partitions=1
group.initial.rebalance.delay.ms=0
"""
_JAVA = ("java", "-Xmx256m", "-XX:TieredStopAtLevel=1")


class KraftKafka:
    """One broker that is its own controller; its data lie in `folder`."""

    name = f"Apache Kafka {VERSION} in KRaft mode, from Maven Central"

    def __init__(self, folder: Path) -> None:
        classpath = f"{fetched_jars('org.apache.kafka', 'kafka_2.13', VERSION)}/*"
        port = free_port()
        properties = folder / "server.properties"
        properties.write_text(_PROPERTIES.format(port=port, controller=free_port(), folder=folder))
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        # In one word: an id may begin with a dash.
        named = ["format", f"--cluster-id={cluster_id}", "-c", str(properties)]
        subprocess.run(
            [*_JAVA, "-cp", classpath, "kafka.tools.StorageTool", *named],
            check=True,
            capture_output=True,
        )
        self.bootstrap = f"127.0.0.1:{port}"
        command = Command(
            argv=(*_JAVA, "-cp", classpath, "kafka.Kafka", str(properties)), environment={"PATH": os.environ["PATH"]}
        )
        self._server = Restartable(command, port, folder / "kafka.log")
        self._server.start()

    def cut_off(self) -> None:
        """Kill the broker; what it acknowledged is on its disk."""
        self._server.kill()

    def bring_back(self) -> None:
        """Start it again on the same port and data."""
        self._server.start()

    def stop(self) -> None:
        """End it."""
        self._server.kill()
