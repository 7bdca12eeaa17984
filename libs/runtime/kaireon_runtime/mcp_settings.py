"""What holds for the tools of the MCP tier wherever they are served: over HTTP, over stdio, or inside the API."""

from __future__ import annotations

import re

import msgspec
from pydantic import Field, field_validator

from kaireon_runtime.settings import ProcessSettings

_RATE_LIMIT = re.compile(r"([1-9][0-9]{0,6})/([1-9][0-9]{0,4})s")


class KeyLimit(msgspec.Struct, frozen=True):
    """At most `count` requests of one API key in any `seconds`."""

    count: int
    seconds: int


def parse_key_limit(text: str) -> KeyLimit:
    """Return the limit written as `300/60s`. Raises `ValueError`."""
    found = _RATE_LIMIT.fullmatch(text)
    if found is None:
        message = "must look like 300/60s"
        raise ValueError(message)
    return KeyLimit(int(found[1]), int(found[2]))


class McpSettings(ProcessSettings):
    """The MCP_* variables; each field is the one of its name in capitals."""

    mcp_allow_writes: bool = False
    """Offer the tools that change what is configured."""
    mcp_rate_limit: str = "300/60s"
    """How many requests one API key has with one process."""
    mcp_timeout_seconds: float = Field(default=30, ge=1, le=600, allow_inf_nan=False)
    """How long one call of the API may take."""
    mcp_answer_bytes: int = Field(default=1024 * 1024, ge=1024, le=64 * 1024 * 1024)
    """How large an answer of the API may be."""
    mcp_argument_bytes: int = Field(default=256 * 1024, ge=1024, le=1024 * 1024)
    """How large the arguments of one call may be."""
    mcp_allowed_hosts: str = ""
    """The `Host` headers that are answered beside those of this machine, comma-separated; `name:*` for every port."""
    mcp_allowed_origins: str = ""
    """The `Origin` headers of browsers that are answered, comma-separated."""

    @field_validator("mcp_rate_limit")
    @classmethod
    def _require_rate_limit(cls, value: str) -> str:
        parse_key_limit(value)
        return value

    @property
    def key_limit(self) -> KeyLimit:
        """The limit of one key."""
        return parse_key_limit(self.mcp_rate_limit)
