"""Free TCP ports on the loopback interface."""

from __future__ import annotations

import secrets
import socket

# Below the kernel's ephemeral range: a port that is free now stays free for a server's restart,
# where an ephemeral one may meanwhile serve somebody's outgoing connection.
_FIRST, _LAST = 20_000, 32_000
_TRIES = 200


class NoFreePort(Exception):
    """No TCP port between 20000 and 32000 is free on 127.0.0.1."""


def is_free(port: int, host: str = "127.0.0.1") -> bool:
    """Return whether a server could listen on this port now."""
    family = socket.AF_INET6 if ":" in host else socket.AF_INET
    with socket.socket(family, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
            probe.listen(1)
        except OSError:
            return False
    return True


def free_port() -> int:
    """Return a TCP port that is free on 127.0.0.1, and is given to nobody else while this process lives.

    Raises:
        NoFreePort: None was found.
    """
    for _ in range(_TRIES):
        port = _FIRST + secrets.randbelow(_LAST - _FIRST)
        if _reserve(port) and is_free(port):
            return port
    raise NoFreePort


def _reserve(port: int) -> bool:
    """Take the UDP port of the same number, which no server here uses, until this process ends."""
    with socket.socket(socket.AF_INET, socket.SOCK_DGRAM) as reservation:
        try:
            reservation.bind(("127.0.0.1", port))
        except OSError:
            return False
        reservation.detach()
    return True
