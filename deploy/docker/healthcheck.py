"""Is the tier in this container alive? Exit code 0 when it is; standard library only.

A tier that serves HTTP must answer. A tier that serves none ends its container when it ends, so what is left to notice
is a tier that cannot reach the servers it works on.
"""

from __future__ import annotations

import os
import socket
import urllib.parse
import urllib.request

# service -> (the variable that holds its port, the default, the path that answers 200); no port: it serves nothing
HTTP = {
    "api": ("API_PORT", "3000", "/api/health"),
    "mcp": ("MCP_PORT", "8080", "/health"),
    "ml-worker": ("ML_WORKER_PORT", "8000", "/health"),
    "outbox-publisher": ("OUTBOX_HEALTH_PORT", "", "/health"),
    "stream": ("STREAM_HEALTH_PORT", "", "/health"),
    "worker": ("WORKER_METRICS_PORT", "", "/metrics"),
}
DEFAULT_PORTS = {"postgresql": 5432, "postgres": 5432, "redis": 6379, "rediss": 6379}
TIMEOUT_SECONDS = 4


def main() -> None:
    """Check the service named by KAIREON_SERVICE. Raises OSError, and so exits with code 1, when it is not alive."""
    variable, default, path = HTTP.get(os.environ["KAIREON_SERVICE"], ("", "", ""))
    port = os.environ.get(variable) or default
    if port:
        url = f"http://127.0.0.1:{port}{path}"
        urllib.request.urlopen(url, timeout=TIMEOUT_SECONDS).close()  # raises unless the answer is 2xx
        return
    for variable in ("DATABASE_URL", "REDIS_URL"):
        if url := os.environ.get(variable):
            reach(url)


def reach(url: str) -> None:
    """Open and close a connection to the server that a URL names."""
    parts = urllib.parse.urlsplit(url)
    address = (parts.hostname or "127.0.0.1", parts.port or DEFAULT_PORTS[parts.scheme])
    socket.create_connection(address, timeout=TIMEOUT_SECONDS).close()


if __name__ == "__main__":
    main()
