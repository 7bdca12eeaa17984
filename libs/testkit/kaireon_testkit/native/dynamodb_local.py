"""AWS's DynamoDB Local, from Maven Central; its data lie in memory. It has no choice but to listen on every address."""

from __future__ import annotations

import http.client
import os
from collections.abc import Generator
from contextlib import contextmanager
from pathlib import Path

from kaireon_testkit.native.jars import fetched_jars
from kaireon_testkit.native.ports import free_port
from kaireon_testkit.native.spawn import Command
from kaireon_testkit.native.stack import running

VERSION = "2.5.4"
_MAIN = "com.amazonaws.services.dynamodbv2.local.main.ServerRunner"
# What it says to whoever does not sign.
_ANSWERS = {400, 403}


@contextmanager
def dynamodb_local(folder: Path) -> Generator[str]:
    """Run the server until the block ends; yield its URL. Raises `JarsUnavailable`, `ServerDidNotStart`."""
    jars, port = fetched_jars("com.amazonaws", "DynamoDBLocal", VERSION), free_port()
    argv = ("java", "-Xmx256m", "-XX:TieredStopAtLevel=1", f"-Djava.library.path={jars}", "-cp", f"{jars}/*", _MAIN)
    command = Command(
        argv=(*argv, "-inMemory", "-disableTelemetry", "-port", str(port)),
        environment={"PATH": os.environ["PATH"]},
        directory=str(folder),
    )
    with running(command, lambda: _is_answering(port), log=folder / "dynamodb.log"):
        yield f"http://127.0.0.1:{port}"


def _is_answering(port: int) -> bool:
    connection = http.client.HTTPConnection("127.0.0.1", port, timeout=2)
    try:
        connection.request("GET", "/")
        return connection.getresponse().status in _ANSWERS
    except OSError:
        return False
    finally:
        connection.close()
