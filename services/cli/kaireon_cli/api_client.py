"""The product's HTTP API, as the command and the supervisor call it."""

from __future__ import annotations

import asyncio
from http.client import HTTPConnection, HTTPException, HTTPSConnection
from typing import Any
from urllib.parse import urlsplit

import msgspec

_TIMEOUT_SECONDS = 15


class ApiUnreachable(Exception):
    """The API did not answer."""


class Answer(msgspec.Struct, frozen=True, kw_only=True):
    """An answer: its status and its JSON body (null when there is none)."""

    status: int
    body: Any

    def refusal(self) -> str:
        """Return one line that says why the API refused, for people."""
        try:
            return f"{self.status}: {self.body['error']['message']}"
        except (KeyError, TypeError):
            return f"{self.status}: {self.body}"


class ApiClient:
    """Calls one API as one key; a proxy in the environment is for the world outside, not for this."""

    def __init__(self, url: str, api_key: str = "", timeout_seconds: float = _TIMEOUT_SECONDS) -> None:
        parts = urlsplit(url)
        self._connect = HTTPSConnection if parts.scheme == "https" else HTTPConnection
        self._host, self._port = parts.hostname or "127.0.0.1", parts.port
        self._base = parts.path.rstrip("/")
        self._api_key = api_key
        self._timeout_seconds = timeout_seconds

    async def call(self, method: str, path: str, body: Any = None) -> Answer:
        """Send one request. Raises `ApiUnreachable`."""
        return await asyncio.to_thread(self._call, method, path, body)

    def _call(self, method: str, path: str, body: Any) -> Answer:
        headers = {"Authorization": f"Bearer {self._api_key}"} if self._api_key else {}
        content = None if body is None else msgspec.json.encode(body)
        if content is not None:
            headers["Content-Type"] = "application/json"
        connection = self._connect(self._host, self._port, timeout=self._timeout_seconds)
        try:
            connection.request(method, self._base + path, body=content, headers=headers)
            response = connection.getresponse()
            return Answer(status=response.status, body=_decoded(response.read()))
        except (OSError, HTTPException) as error:
            raise ApiUnreachable(f"{method} {path}: {error or type(error).__name__}") from error
        finally:
            connection.close()


def _decoded(content: bytes) -> Any:
    try:
        return msgspec.json.decode(content) if content else None
    except msgspec.DecodeError:
        return content.decode(errors="replace")
