"""A current Apache Kafka in KRaft mode, assembled from its jars on Maven Central; needs `mvn` and Java 17."""

from __future__ import annotations

import base64
import os
import re
import shutil
import subprocess
import uuid
from pathlib import Path

from kaireon_testkit.native.ports import free_port
from kaireon_testkit.native.restartable import Restartable
from kaireon_testkit.native.spawn import Command

VERSION = "4.3.1"
_LEAST_JAVA = 17
_FETCH_SECONDS = 600
_COPY = "org.apache.maven.plugins:maven-dependency-plugin:3.8.1:copy-dependencies"
_POM = f"""<project xmlns="http://maven.apache.org/POM/4.0.0">
  <modelVersion>4.0.0</modelVersion>
  <groupId>kaireon</groupId>
  <artifactId>kafka-jars</artifactId>
  <version>1</version>
  <packaging>pom</packaging>
  <dependencies>
    <dependency>
      <groupId>org.apache.kafka</groupId>
      <artifactId>kafka_2.13</artifactId>
      <version>{VERSION}</version>
    </dependency>
  </dependencies>
</project>
"""
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


class KafkaJarsUnavailable(Exception):
    """There is no `mvn`, no Java 17, or Maven Central cannot be reached."""


class KraftKafka:
    """One broker that is its own controller; its data lie in `folder`."""

    name = f"Apache Kafka {VERSION} in KRaft mode, from Maven Central"

    def __init__(self, folder: Path) -> None:
        classpath = f"{_jars()}/*"
        port = free_port()
        properties = folder / "server.properties"
        properties.write_text(_PROPERTIES.format(port=port, controller=free_port(), folder=folder))
        cluster_id = base64.urlsafe_b64encode(uuid.uuid4().bytes).decode().rstrip("=")
        subprocess.run(
            [*_JAVA, "-cp", classpath, "kafka.tools.StorageTool", "format", "-t", cluster_id, "-c", str(properties)],
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


def _jars() -> Path:
    """Return the folder of the jars, fetched once for this user. Raises `KafkaJarsUnavailable`."""
    if not _has_java() or shutil.which("mvn") is None:
        raise KafkaJarsUnavailable
    cache = Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "kaireon"
    jars = cache / f"kafka-{VERSION}"
    if jars.is_dir():
        return jars
    fetching = cache / f"kafka-{VERSION}.{os.getpid()}"
    fetching.mkdir(parents=True)
    try:
        (fetching / "pom.xml").write_text(_POM)
        subprocess.run(
            ["mvn", "--quiet", "--batch-mode", _COPY, "-DoutputDirectory=jars", "-DincludeScope=runtime"],  # noqa: S607
            cwd=fetching,
            check=True,
            capture_output=True,
            timeout=_FETCH_SECONDS,
        )
        (fetching / "jars").rename(jars)
    except (subprocess.SubprocessError, OSError) as error:
        if not jars.is_dir():  # somebody else was faster
            raise KafkaJarsUnavailable from error
    finally:
        shutil.rmtree(fetching, ignore_errors=True)
    return jars


def _has_java() -> bool:
    if shutil.which("java") is None:
        return False
    told = subprocess.run(["java", "-version"], capture_output=True, text=True, check=False).stderr  # noqa: S607
    found = re.search(r'version "(\d+)', told)
    return found is not None and int(found[1]) >= _LEAST_JAVA
