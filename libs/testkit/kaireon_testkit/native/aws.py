"""moto's server, an emulator of AWS in memory, behind a gate that a test may shut or have throttle single records."""

from __future__ import annotations

import json
import sys
import threading
from collections.abc import Callable
from contextlib import closing
from http import HTTPStatus
from http.client import HTTPConnection
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from pathlib import Path
from typing import Any

from kaireon_testkit.native.ports import free_port
from kaireon_testkit.native.restartable import Restartable
from kaireon_testkit.native.spawn import Command

_TIMEOUT_SECONDS = 10
# Operation -> its list of entries, its list of replies, its count of failures.
_BATCHES = {
    "Kinesis_20131202.PutRecords": ("Records", "Records", "FailedRecordCount"),
    "AWSEvents.PutEvents": ("Entries", "Entries", "FailedEntryCount"),
}


class MotoServer(Restartable):
    """The emulator; what it keeps ends with it."""

    def __init__(self, folder: Path) -> None:
        self.port = free_port()
        argv = (sys.executable, "-m", "moto.server", "-H", "127.0.0.1", "-p", str(self.port))
        super().__init__(Command(argv=argv, environment={"PATH": "/usr/bin:/bin"}), self.port, folder / "moto.log")


class Gate:
    """An HTTP proxy before the emulator. `throttled` says, of one entry's JSON text, whether it is throttled now."""

    def __init__(self, port: int) -> None:
        self._target = port
        self._port = free_port()
        self.url = f"http://127.0.0.1:{self._port}"
        self.throttled: Callable[[str], bool] = _nothing
        self._server: ThreadingHTTPServer | None = None
        # moto's shards lose records to two writers at once ("not safe for concurrency", it says); AWS' do not.
        self._writing = threading.Lock()

    def open(self) -> None:
        """Let requests through."""
        gate = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                gate._carry(self)

            def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
                """Say nothing."""

        self._server = ThreadingHTTPServer(("127.0.0.1", self._port), Handler)
        self._server.daemon_threads = True
        threading.Thread(target=self._server.serve_forever, kwargs={"poll_interval": 0.02}, daemon=True).start()

    def shut(self) -> None:
        """Refuse connections."""
        if self._server is not None:
            self._server.shutdown()
            self._server.server_close()
            self._server = None

    def _carry(self, request: BaseHTTPRequestHandler) -> None:
        body = request.rfile.read(int(request.headers["Content-Length"]))
        names = _BATCHES.get(request.headers["X-Amz-Target"])
        status, answer = (
            self._forward(request, body) if names is None else self._forward_some(request, json.loads(body), names)
        )
        request.send_response(status)
        request.send_header("Content-Type", "application/x-amz-json-1.1")
        request.send_header("Content-Length", str(len(answer)))
        request.end_headers()
        request.wfile.write(answer)

    def _forward_some(
        self, request: BaseHTTPRequestHandler, document: dict[str, Any], names: tuple[str, str, str]
    ) -> tuple[int, bytes]:
        """Pass on the entries that are not throttled, and answer for the others as AWS does."""
        entries_name, replies_name, failures_name = names
        entries = document[entries_name]
        is_throttled = [self.throttled(json.dumps(entry)) for entry in entries]
        passed = [entry for entry, held_back in zip(entries, is_throttled, strict=True) if not held_back]
        replies: list[dict[str, Any]] = []
        if passed:
            status, answer = self._forward(request, json.dumps({**document, entries_name: passed}).encode())
            if status != HTTPStatus.OK:
                return status, answer
            replies = json.loads(answer)[replies_name]
        remaining = iter(replies)
        merged = [_THROTTLED if held_back else next(remaining) for held_back in is_throttled]
        failures = sum("ErrorCode" in reply for reply in merged)
        return HTTPStatus.OK, json.dumps({failures_name: failures, replies_name: merged}).encode()

    def _forward(self, request: BaseHTTPRequestHandler, body: bytes) -> tuple[int, bytes]:
        headers = {name: value for name, value in request.headers.items() if name.lower() != "content-length"}
        with self._writing, closing(HTTPConnection("127.0.0.1", self._target, timeout=_TIMEOUT_SECONDS)) as connection:
            connection.request("POST", request.path, body, headers)
            answer = connection.getresponse()
            return answer.status, answer.read()


_THROTTLED = {"ErrorCode": "ThrottlingException", "ErrorMessage": "Rate exceeded"}


def _nothing(_entry: str) -> bool:
    return False
