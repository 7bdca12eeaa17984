"""uvicorn, as this API uses it: uvloop, httptools, no access log, requests in flight answered before the end."""

from __future__ import annotations

import asyncio
import signal
from collections.abc import Callable
from types import FrameType
from typing import Any, cast

import uvicorn
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from kaireon_api.app import Api
from kaireon_runtime.lifecycle import DRAIN_SECONDS, KEEP_ALIVE_SECONDS

# uvicorn kills a worker that does not answer its supervisor for so long; importing counts.
_START_SECONDS = 60
_UNREADABLE = (
    b'{"error":{"code":"BAD_REQUEST","message":"The request is not valid HTTP","status":400,"requestId":"unreadable"}}'
)


class Pairing:
    """A transport that sends two writes of one turn of the event loop as one packet.

    uvicorn writes the head of an answer and its body apart, and uvloop sends each at once: two system calls here, and
    two wake-ups of the client.
    """

    def __init__(self, transport: asyncio.Transport) -> None:
        self._transport = transport
        self._later = asyncio.get_running_loop().call_soon
        self._held = b""

    def __getattr__(self, name: str) -> Any:
        """Be the transport in everything else."""
        return getattr(self._transport, name)

    def write(self, data: bytes) -> None:
        """Hold the first of two until the second comes, or the turn ends."""
        if self._held:
            self._transport.write(self._held + data)
            self._held = b""
        else:
            self._held = data
            self._later(self._release)

    def close(self) -> None:
        """Close once everything is sent."""
        self._release()
        self._transport.close()

    def _release(self) -> None:
        if self._held:
            self._transport.write(self._held)
            self._held = b""


class Protocol(HttpToolsProtocol):
    """Pairs what is written, and answers what is no HTTP in the form of every other error."""

    def connection_made(self, transport: asyncio.Transport) -> None:
        """Write through `Pairing`."""
        super().connection_made(cast("asyncio.Transport", Pairing(transport)))

    def send_400_response(self, msg: str) -> None:
        """Answer and close the connection: where the next request would begin is not known."""
        del msg
        self.transport.write(
            b"HTTP/1.1 400 Bad Request\r\ncontent-type: application/json\r\nx-content-type-options: nosniff\r\n"
            b"x-request-id: unreadable\r\nconnection: close\r\ncontent-length: %d\r\n\r\n%b"
            % (len(_UNREADABLE), _UNREADABLE)
        )
        self.transport.close()


class Server(uvicorn.Server):
    """Says that it drains as soon as it is asked to end."""

    def __init__(self, config: uvicorn.Config, on_stop: Callable[[], None] = lambda: None) -> None:
        """Serve; `on_stop` is called once the end has come, and returns at once."""
        super().__init__(config)
        self._on_stop = on_stop

    def handle_exit(
        self,
        sig: int,  # noqa: ARG002  uvicorn names it
        frame: FrameType | None,
    ) -> None:
        """Drain, then end; a second signal does not cut requests short, only SIGKILL does."""
        app = cast("object", self.config.loaded_app)
        if isinstance(app, Api):
            app.services.readiness.drain()
        self._on_stop()
        super().handle_exit(signal.SIGTERM, frame)


def server_config(app: object, *, host: str, port: int, workers: int = 1, is_factory: bool = False) -> uvicorn.Config:
    """Return uvicorn's configuration."""
    return uvicorn.Config(
        app,  # pyright: ignore[reportArgumentType]  a callable or the name of one; uvicorn's own type is narrower
        factory=is_factory,
        host=host,
        port=port,
        workers=workers,
        loop="uvloop",
        http=Protocol,
        ws="none",
        lifespan="on",
        interface="asgi3",
        access_log=False,
        server_header=False,
        proxy_headers=False,
        log_config=None,
        timeout_keep_alive=KEEP_ALIVE_SECONDS,
        timeout_graceful_shutdown=DRAIN_SECONDS,
        timeout_worker_healthcheck=_START_SECONDS,
    )
