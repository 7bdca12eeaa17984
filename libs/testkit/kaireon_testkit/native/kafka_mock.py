"""librdkafka's mock cluster as a process: a broker in memory that speaks the protocol and errs when it is told to.

`python -m kaireon_testkit.native.kafka_mock` prints its bootstrap servers, then obeys the lines of its input:
`down`, `up`, and `refuse N` (the next N produce requests are answered MSG_SIZE_TOO_LARGE). It ends with its input.
"""

from __future__ import annotations

import ctypes
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path
from typing import Any

_BROKERS = 3
_RD_KAFKA_PRODUCER = 0
_PRODUCE_API = 0
_MSG_SIZE_TOO_LARGE = 10


def _library() -> Any:
    # confluent-kafka carries the library beside its package; its own module does not expose the mock's faults.
    spec = find_spec("confluent_kafka")
    assert spec is not None
    assert spec.origin is not None
    folder = Path(spec.origin).parents[1] / "confluent_kafka.libs"
    library = ctypes.CDLL(str(next(folder.glob("librdkafka-*"))))
    library.rd_kafka_new.restype = ctypes.c_void_p
    library.rd_kafka_mock_cluster_new.restype = ctypes.c_void_p
    library.rd_kafka_mock_cluster_bootstraps.restype = ctypes.c_char_p
    return library


def serve() -> None:
    """Run a cluster until the input ends."""
    library = _library()
    error = ctypes.create_string_buffer(512)
    client = ctypes.c_void_p(library.rd_kafka_new(_RD_KAFKA_PRODUCER, None, error, ctypes.c_size_t(len(error))))
    cluster = ctypes.c_void_p(library.rd_kafka_mock_cluster_new(client, _BROKERS))
    say(library.rd_kafka_mock_cluster_bootstraps(cluster).decode())
    for line in sys.stdin:
        word, _, number = line.strip().partition(" ")
        if word == "refuse":
            codes = (ctypes.c_int * int(number))(*[_MSG_SIZE_TOO_LARGE] * int(number))
            library.rd_kafka_mock_push_request_errors_array(
                cluster, ctypes.c_int16(_PRODUCE_API), ctypes.c_size_t(int(number)), codes
            )
        else:
            change = {"down": library.rd_kafka_mock_broker_set_down, "up": library.rd_kafka_mock_broker_set_up}[word]
            for broker in range(1, _BROKERS + 1):
                change(cluster, ctypes.c_int32(broker))
        say("done")


def say(text: str) -> None:
    """Answer whoever started us."""
    sys.stdout.write(f"{text}\n")
    sys.stdout.flush()


class MockKafka:
    """The process, as a broker that a test may cut off and freeze."""

    name = "librdkafka's mock cluster"

    def __init__(self) -> None:
        self._process = subprocess.Popen(
            [sys.executable, "-m", "kaireon_testkit.native.kafka_mock"],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # librdkafka's notes on a client without a broker
            text=True,
        )
        self.bootstrap = self._read()

    def cut_off(self) -> None:
        """Close every connection and accept none; what was kept stays."""
        self._tell("down")

    def bring_back(self) -> None:
        """Accept connections again."""
        self._tell("up")

    def refuse(self, requests: int) -> None:
        """Answer the next produce requests with MSG_SIZE_TOO_LARGE, whatever is in them."""
        self._tell(f"refuse {requests}")

    def stop(self) -> None:
        """End the process, and with it what was kept."""
        self._process.kill()
        self._process.communicate()

    def _tell(self, line: str) -> None:
        assert self._process.stdin is not None
        self._process.stdin.write(f"{line}\n")
        self._process.stdin.flush()
        self._read()

    def _read(self) -> str:
        assert self._process.stdout is not None
        return self._process.stdout.readline().strip()


if __name__ == "__main__":
    serve()
