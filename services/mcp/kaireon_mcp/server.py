"""The protocol's side: tools listed and called, whatever the transport."""

from __future__ import annotations

from collections.abc import Callable
from importlib.metadata import version
from typing import Any

import msgspec
from mcp import MCPError
from mcp.server import Server
from mcp.server.context import ServerRequestContext
from mcp.types import (
    INVALID_PARAMS,
    CallToolRequestParams,
    CallToolResult,
    ListToolsResult,
    PaginatedRequestParams,
    TextContent,
    Tool,
    ToolAnnotations,
)

from kaireon_mcp.api import ApiError, Caller
from kaireon_mcp.calls import Calls, Outcome, UnknownTool, hints
from kaireon_mcp.forms import Form

Context = ServerRequestContext[dict[str, Any], Any]
# Who sent this message. Raises `ApiError` when they may not call just now.
WhoCalls = Callable[[Context], Caller]

_INSTRUCTIONS = (
    "Kaireon decides which offers to show to a customer, and explains every decision. Start with search or "
    "list_entities to find ids and keys; every id may be a key. A tool that changes something only tells what it would "
    "do until it is called with confirm: true; ask the user before."
)


def build_server(calls: Calls, who_calls: WhoCalls) -> Server[dict[str, Any]]:
    """Return the server of these tools."""
    listed = ListToolsResult(tools=[_shown(form) for form in calls.forms.values()])

    async def list_tools(_context: Context, _params: PaginatedRequestParams | None) -> ListToolsResult:
        return listed

    async def call_tool(context: Context, params: CallToolRequestParams) -> CallToolResult:
        try:
            outcome = await calls.call(params.name, params.arguments or {}, who_calls(context))
        except ApiError as error:
            outcome = calls.refuse(params.name, error)
        except UnknownTool:
            raise MCPError(INVALID_PARAMS, f"Unknown tool: {params.name[:100]}") from None
        return _told(outcome)

    return Server(
        "kaireon",
        version=version("kaireon-mcp"),
        title="Kaireon",
        instructions=_INSTRUCTIONS,
        get_tool_input_schema=lambda name: calls.forms[name].input_schema if name in calls.forms else None,
        on_list_tools=list_tools,
        on_call_tool=call_tool,
    )


def _shown(form: Form) -> Tool:
    return Tool(
        name=form.tool.name,
        title=form.tool.title,
        description=form.tool.description,
        input_schema=form.input_schema,
        output_schema=form.output_schema,
        annotations=ToolAnnotations(title=form.tool.title, **hints(form.tool)),
    )


def _told(outcome: Outcome) -> CallToolResult:
    text = TextContent(type="text", text=msgspec.json.encode(outcome.document).decode())
    if outcome.is_error:
        return CallToolResult(content=[text], is_error=True)
    return CallToolResult(content=[text], structured_content=outcome.document)
