"""The same tools over stdio, inside the API, and without an API."""

from __future__ import annotations

import asyncio
import os
import signal
import subprocess
import sys
from pathlib import Path

import httpx
from starlette.types import Receive, Scope, Send

from kaireon_api.app import Api
from kaireon_testkit.native.ports import free_port
from kaireon_testkit.patience import PATIENCE_SECONDS
from kaireon_testkit.platform.tenant import TEST_PEPPER, Tenant
from tests.api.shop import Shop
from tests.mcp.conftest import COMMAND, StartMcp, connected, error_of, over_stdio, served, told, until_answered

NOWHERE = "http://127.0.0.1:1"
UNKNOWN = "krn_unknown_0123456789"


async def test_over_stdio_a_key_reads_and_writes(api_url: str, shop: Shop) -> None:
    given = {
        "KAIREON_API_URL": api_url,
        "KAIREON_API_KEY": shop.api.tenant.api_keys["editor"],
        "KAIREON_TENANT_ID": str(shop.tenant_id),
        "MCP_ALLOW_WRITES": "true",
    }
    async with over_stdio(given) as client:
        preview = told(await client.call_tool("update_offer", {"offerId": "gold", "status": "paused"}))
        told(await client.call_tool("update_offer", {"offerId": "gold", "status": "paused", "confirm": True}))
        offer = told(await client.call_tool("get_entity", {"kind": "offers", "id": "gold"}))["result"]
    assert preview["preview"]["changes"] == {"status": {"from": "active", "to": "paused"}}
    assert offer["status"] == "paused"


async def test_over_stdio_what_is_wrong_is_told_by_the_call(api_url: str, shop: Shop) -> None:
    cases = [
        ({"KAIREON_API_KEY": UNKNOWN}, "UNAUTHORIZED"),
        ({"KAIREON_TENANT_ID": "globex"}, "FORBIDDEN"),
        ({"KAIREON_API_URL": NOWHERE}, "UNAVAILABLE"),
        ({"MCP_RATE_LIMIT": "1/600s"}, None),
    ]
    given = {"KAIREON_API_URL": api_url, "KAIREON_API_KEY": shop.api.tenant.api_keys["viewer"]}
    for wrong, code in cases:
        async with over_stdio({**given, **wrong}) as client:
            assert (await client.list_tools()).tools
            first = await client.call_tool("list_entities", {"kind": "offers"})
            again = await client.call_tool("list_entities", {"kind": "offers"})
        if code is None:
            told(first)
        assert error_of(again)["code"] == (code or "RATE_LIMITED")


async def test_the_command_serves_stdio(api_url: str, shop: Shop) -> None:
    keys = shop.api.tenant.api_keys
    command = (sys.executable, "-m", "kaireon_cli", "mcp")
    given = {"KAIREON_API_URL": api_url, "KAIREON_API_KEY": keys["viewer"]}
    async with over_stdio(given, command) as client:
        assert told(await client.call_tool("get_entity", {"kind": "offers", "id": "gold"}))["result"]["key"] == "gold"


def test_settings_that_cannot_be_are_one_line_each() -> None:
    given = {
        "PATH": os.environ["PATH"],
        "MCP_PORT": "0",
        "MCP_RATE_LIMIT": "0/0s",
        "KAIREON_API_URL": "ftp://x",
        "KAIREON_TENANT_ID": "a b",
    }
    for arguments, names in (
        ([], {"MCP_PORT", "MCP_RATE_LIMIT", "KAIREON_API_URL"}),
        (["--stdio"], {"MCP_RATE_LIMIT", "KAIREON_API_URL", "KAIREON_API_KEY", "KAIREON_TENANT_ID"}),
    ):
        ended = subprocess.run([*COMMAND, *arguments], env=given, capture_output=True, text=True, check=False)
        assert ended.returncode == 2
        assert {line.split()[0] for line in ended.stderr.splitlines()} == names


async def test_it_is_a_path_of_the_api_where_that_is_asked_for(
    database_url: str, redis_url: str, tenant: Tenant, tmp_path: Path
) -> None:
    port = free_port()
    given = {
        **os.environ,
        "DATABASE_URL": database_url,
        "REDIS_URL": redis_url,
        "API_KEY_PEPPER": TEST_PEPPER,
        "API_PORT": str(port),
        "WORKER_INPROCESS": "0",
        "MCP_ENABLED": "true",
        "MCP_ALLOW_WRITES": "true",
    }
    url = f"http://127.0.0.1:{port}"
    with (tmp_path / "log").open("w+b") as log:
        process = subprocess.Popen((sys.executable, "-m", "kaireon_api"), env=given, stderr=log)  # noqa: ASYNC220
        try:
            await until_answered(f"{url}/api/health")
            async with connected(url, tenant.api_keys["editor"]) as client:
                made = told(await client.call_tool("create_offer", {"name": "Gold", "key": "gold", "confirm": True}))
                listed = told(await client.call_tool("list_entities", {"kind": "offers"}))["result"]["data"]
            async with httpx.AsyncClient(base_url=url) as http:
                refused = await http.post("/mcp", json={"jsonrpc": "2.0", "id": 1, "method": "ping"})
                metrics = (await http.get("/api/metrics")).text
        finally:
            process.send_signal(signal.SIGTERM)
            await asyncio.to_thread(process.wait, 30)
        log.seek(0)
        text = log.read().decode()
    assert [offer["id"] for offer in listed] == [made["result"]["id"]]
    assert refused.status_code == 401
    assert 'kaireon_mcp_calls_total{result="ok",tool="create_offer"} 1.0' in metrics
    assert "Traceback" not in text, text[-4000:]
    assert tenant.api_keys["editor"] not in text


async def test_without_mcp_enabled_the_api_has_no_such_path(app: Api, shop: Shop) -> None:
    assert (await shop.api.editor.post("/mcp", json={})).status_code == 404


async def test_without_an_api_it_lives_is_not_ready_and_says_so(start_mcp: StartMcp) -> None:
    url = start_mcp(NOWHERE)
    assert (await until_answered(f"{url}/health")).status_code == 200
    async with httpx.AsyncClient(base_url=url) as http:
        ready = await http.get("/ready")
        asked = await http.post(
            "/mcp",
            json={"jsonrpc": "2.0", "id": 1, "method": "ping"},
            headers={"Authorization": f"Bearer {UNKNOWN}", "Accept": "application/json"},
        )
    assert (ready.status_code, ready.json()["status"]) == (503, "unavailable")
    assert (asked.status_code, asked.json()["error"]["code"]) == (503, "UNAVAILABLE")


async def test_an_api_that_goes_away_is_an_error_of_the_call(start_mcp: StartMcp, app: Api, shop: Shop) -> None:
    serving = served(app)
    url = start_mcp(await serving.__aenter__())
    await until_answered(f"{url}/health")
    async with connected(url, shop.api.tenant.api_keys["viewer"]) as client:
        told(await client.call_tool("get_entity", {"kind": "offers", "id": "gold"}))
        await serving.__aexit__(None, None, None)
        error = error_of(await client.call_tool("get_entity", {"kind": "offers", "id": "gold"}))
    assert (error["code"], error["status"]) == ("UNAVAILABLE", 503)
    assert error["requestId"].startswith("mcp-")
    async with httpx.AsyncClient(base_url=url) as http:
        text = (await http.get("/metrics")).text
    assert 'kaireon_mcp_calls_total{result="unavailable",tool="get_entity"} 1.0' in text


async def test_a_call_in_flight_is_answered_before_the_end(app: Api, shop: Shop) -> None:
    """The API holds its answer back until the tier was told to end."""
    may_answer = asyncio.Event()
    began = asyncio.Event()

    async def slow(scope: Scope, receive: Receive, send: Send) -> None:
        if scope["path"].endswith("/offers/gold"):
            began.set()
            await may_answer.wait()
        await app(scope, receive, send)

    async with served(slow) as api_url:
        port = free_port()
        given = {"PATH": os.environ["PATH"], "KAIREON_API_URL": api_url, "MCP_PORT": str(port)}
        process = await asyncio.create_subprocess_exec(*COMMAND, env=given, stderr=asyncio.subprocess.PIPE)
        url = f"http://127.0.0.1:{port}"
        await until_answered(f"{url}/health")
        async with connected(url, shop.api.tenant.api_keys["viewer"]) as client:
            await (
                client.list_tools()
            )  # or the client would ask for the form of the answer, when nobody is there any more
            call = asyncio.create_task(client.call_tool("get_entity", {"kind": "offers", "id": "gold"}))
            await began.wait()
            process.terminate()
            await until_closed(port)
            may_answer.set()
            assert told(await call)["result"]["key"] == "gold"
        _, text = await asyncio.wait_for(process.communicate(), 30)
    assert b"Traceback" not in text
    assert shop.api.tenant.api_keys["viewer"].encode() not in text


async def until_closed(port: int) -> None:
    """Wait until a port takes no connections any more."""
    async with asyncio.timeout(PATIENCE_SECONDS):
        while True:
            try:
                _, writer = await asyncio.open_connection("127.0.0.1", port)
            except OSError:
                return
            writer.close()
            await asyncio.sleep(0.05)
