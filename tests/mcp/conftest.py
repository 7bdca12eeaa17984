"""The tools as their clients meet them: a real server process, the API on a real socket, the protocol's own client."""

from __future__ import annotations

import asyncio
import json
import os
import subprocess
import sys
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from pathlib import Path
from typing import Any

import httpx
import httpx2
import pytest
import uvicorn
from mcp import Client, StdioServerParameters
from mcp.client.streamable_http import streamable_http_client
from mcp.types import CallToolResult, TextContent
from starlette.types import ASGIApp

from kaireon_api.app import Api
from kaireon_testkit.native.ports import free_port
from tests.api.conftest import api, app, settings, shop

__all__ = ["api", "app", "settings", "shop"]

StartMcp = Callable[..., str]
Connect = Callable[..., AbstractAsyncContextManager[Client]]

COMMAND = (sys.executable, "-m", "kaireon_mcp")


@asynccontextmanager
async def served(app: ASGIApp) -> AsyncGenerator[str]:
    """Put an application that is open on a socket; give its URL."""
    port = free_port()
    server = uvicorn.Server(uvicorn.Config(app, port=port, lifespan="off", log_config=None, access_log=False))
    # Without `serve`, which would take the signals of the test run.
    task = asyncio.create_task(server._serve())
    try:
        await until_answered(f"http://127.0.0.1:{port}/api/health")
        yield f"http://127.0.0.1:{port}"
    finally:
        server.should_exit = True
        await task


@pytest.fixture
async def api_url(app: Api) -> AsyncIterator[str]:
    """The application, on a socket."""
    async with served(app) as url:
        yield url


@pytest.fixture
def start_mcp(tmp_path: Path) -> Iterator[StartMcp]:
    """Start servers of the MCP tier; `process` of each is ended with the test."""
    running: list[subprocess.Popen[bytes]] = []

    def start(api_url: str, **more: str) -> str:
        port = free_port()
        given = {"PATH": os.environ["PATH"], "KAIREON_API_URL": api_url, "MCP_PORT": str(port), **more}
        with (tmp_path / f"mcp-{port}.log").open("wb") as log:
            running.append(subprocess.Popen(COMMAND, env=given, stderr=log))
        return f"http://127.0.0.1:{port}"

    yield start
    for process in running:
        process.terminate()
    for process in running:
        process.wait(30)


async def until_answered(url: str) -> httpx.Response:
    """Return the first answer of a URL."""
    async with asyncio.timeout(90), httpx.AsyncClient() as client:
        while True:
            try:
                return await client.get(url)
            except httpx.TransportError:
                await asyncio.sleep(0.05)


@asynccontextmanager
async def connected(url: str, key: str, mode: str = "auto", **headers: str) -> AsyncGenerator[Client]:
    """Connect to a server over Streamable HTTP, with a key."""
    given = {"Authorization": f"Bearer {key}", **headers}
    async with (
        httpx2.AsyncClient(headers=given, timeout=60) as http,
        Client(streamable_http_client(f"{url}/mcp", http_client=http), mode=mode) as client,
    ):
        yield client


def over_stdio(environment: dict[str, str], command: tuple[str, ...] = (*COMMAND, "--stdio")) -> Client:
    """Return a client that starts its server."""
    given = {"PATH": os.environ["PATH"], **environment}
    return Client(StdioServerParameters(command=command[0], args=list(command[1:]), env=given))


def told(result: CallToolResult) -> dict[str, Any]:
    """Return what a tool answered."""
    assert not result.is_error, result.content
    return result.structured_content


def error_of(result: CallToolResult) -> dict[str, Any]:
    """Return what a tool says went wrong."""
    assert result.is_error
    assert result.structured_content is None
    (content,) = result.content
    assert isinstance(content, TextContent)
    return json.loads(content.text)["error"]
