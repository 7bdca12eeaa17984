"""The best Kafka that can be had here: a given one, a container, one from its jars, or librdkafka's mock cluster."""

from __future__ import annotations

import importlib
import os
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path
from typing import Any, Protocol

from kaireon_testkit.native.jars import JarsUnavailable
from kaireon_testkit.native.kafka_kraft import KraftKafka
from kaireon_testkit.native.kafka_mock import MockKafka


class Kafka(Protocol):
    """A broker for tests; `name` says which one, `bootstrap` where. It creates topics by itself."""

    @property
    def name(self) -> str:
        """What a report says."""
        ...

    bootstrap: str

    def cut_off(self) -> None:
        """Make it unreachable; what it acknowledged stays."""
        ...

    def bring_back(self) -> None:
        """Make it reachable again, at the same address."""
        ...

    def stop(self) -> None:
        """End it."""
        ...


class GivenKafka:
    """The broker of `KAFKA_BOOTSTRAP`; it is not ours to stop."""

    def __init__(self, bootstrap: str) -> None:
        self.bootstrap = bootstrap
        self.name = f"the given broker {bootstrap}"

    def cut_off(self) -> None:
        """Refuse: others may use it."""
        raise NotOurs

    def bring_back(self) -> None:
        """Refuse."""
        raise NotOurs

    def stop(self) -> None:
        """Leave it."""


class NotOurs(Exception):
    """A broker that was given is not stopped by a test."""


class KafkaContainer:
    """A broker in Docker, by testcontainers; cut off means paused."""

    name = "Kafka in Docker, by testcontainers"

    def __init__(self) -> None:
        self._container: Any = importlib.import_module("testcontainers.kafka").KafkaContainer().with_kraft().start()
        self.bootstrap = str(self._container.get_bootstrap_server())

    def cut_off(self) -> None:
        """Pause it."""
        self._container.get_wrapped_container().pause()

    def bring_back(self) -> None:
        """Let it go on."""
        self._container.get_wrapped_container().unpause()

    def stop(self) -> None:
        """Remove it."""
        self._container.stop()


def best_kafka(folder: Path) -> Kafka:
    """Start the first that can be had; `folder` is for its data."""
    if bootstrap := os.environ.get("KAFKA_BOOTSTRAP"):
        return GivenKafka(bootstrap)
    if Path("/var/run/docker.sock").exists() and find_spec("testcontainers") is not None:
        return KafkaContainer()
    try:
        return KraftKafka(folder)
    except JarsUnavailable:
        return MockKafka()


KAFKAS: dict[str, Callable[[Path], Kafka]] = {"kafka": lambda _: MockKafka(), "kafka-real": best_kafka}
