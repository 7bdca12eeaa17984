"""The settings of the MCP tier, and of the same tools over stdio."""

from __future__ import annotations

from pydantic import Field, SecretStr

from kaireon_runtime.mcp_settings import McpSettings
from kaireon_runtime.settings import Port


class ClientSettings(McpSettings):
    """What a process beside the API needs; each field is the variable of the same name in capitals."""

    kaireon_api_url: str = Field(default="http://127.0.0.1:3000", pattern="^https?://")
    """The API that is called."""


class Settings(ClientSettings):
    """Everything the MCP tier reads from its environment."""

    mcp_host: str = "127.0.0.1"
    mcp_port: Port = 8080


class StdioSettings(ClientSettings):
    """The same over stdio, for one key."""

    kaireon_api_key: SecretStr = Field(min_length=1, max_length=256)
    kaireon_tenant_id: str | None = Field(default=None, pattern=r"^[!-~]+$", max_length=255)
    """The tenant, by id or key, that the key must belong to."""
