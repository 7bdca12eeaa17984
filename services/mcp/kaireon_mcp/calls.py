"""One call of a tool: its arguments held against its form, the API asked, the answer or what went wrong told."""

from __future__ import annotations

import time
from collections.abc import Mapping
from enum import StrEnum
from typing import Any

import msgspec

from kaireon_mcp.api import Api, ApiError, Caller
from kaireon_mcp.forms import ApiRequest, Form, InvalidArguments
from kaireon_mcp.operations import stored_operations
from kaireon_mcp.tools import TOOLS, Effect, Tool
from kaireon_runtime.catalogue import MCP_CALL_DURATION, MCP_CALLS
from kaireon_runtime.logs import logger
from kaireon_runtime.metrics import Metrics

_SHOWN_OF_TARGET = ("id", "key", "name", "status", "registryStatus", "liveVersion", "rowVersion")
_UNAVAILABLE = frozenset({500, 502, 503, 504})
_RATE_LIMITED = 429
_UNKNOWN = "unknown"


class Result(StrEnum):
    """How a call ended, as it is counted."""

    OK = "ok"
    PREVIEW = "preview"
    INVALID = "invalid"
    REFUSED = "refused"
    LIMITED = "limited"
    UNAVAILABLE = "unavailable"


class Outcome(msgspec.Struct, frozen=True, kw_only=True):
    """What a client is told: a document in the form of the tool, or of an error."""

    document: dict[str, Any]
    result: Result

    @property
    def is_error(self) -> bool:
        """Whether the call did not come to what it was for."""
        return self.result not in {Result.OK, Result.PREVIEW}


class UnknownTool(Exception):
    """There is no such tool here."""


class Calls:
    """The tools that are offered, and how they are called."""

    def __init__(self, api: Api, metrics: Metrics, *, allow_writes: bool, argument_bytes: int) -> None:
        """Offer the tools that write only where `allow_writes` says so."""
        operations = stored_operations()
        self.forms: Mapping[str, Form] = {
            tool.name: Form(tool, operations) for tool in TOOLS if allow_writes or not tool.is_write
        }
        self._api = api
        self._metrics = metrics
        self._argument_bytes = argument_bytes
        self._log = logger("kaireon.mcp")

    async def call(self, name: str, arguments: dict[str, Any], caller: Caller) -> Outcome:
        """Call a tool for somebody. Raises `UnknownTool`."""
        started = time.perf_counter()
        form = self.forms.get(name)
        if form is None:
            self._metrics.add(MCP_CALLS, _UNKNOWN, Result.INVALID)
            raise UnknownTool(name)
        outcome = await self._outcome(form, arguments, caller)
        self._metrics.add(MCP_CALLS, name, outcome.result)
        self._metrics.observe(MCP_CALL_DURATION, time.perf_counter() - started, name)
        return outcome

    def refuse(self, name: str, error: ApiError) -> Outcome:
        """Return what is told where a call does not even begin."""
        self._metrics.add(MCP_CALLS, name if name in self.forms else _UNKNOWN, _result_of(error))
        return Outcome(document=error.document(), result=_result_of(error))

    async def _outcome(self, form: Form, arguments: dict[str, Any], caller: Caller) -> Outcome:
        try:
            self._require_small(arguments)
            request = form.request(arguments)
            if form.tool.is_write and arguments.get("confirm") is not True:
                return await self._preview(form, arguments, request, caller)
            return await self._done(form.tool, request, caller)
        except InvalidArguments as error:
            told = {"code": "INVALID_ARGUMENTS", "message": str(error), "status": 400}
            return Outcome(document={"error": told}, result=Result.INVALID)
        except ApiError as error:
            return Outcome(document=error.document(), result=_result_of(error))

    def _require_small(self, arguments: dict[str, Any]) -> None:
        try:
            size = len(msgspec.json.encode(arguments))
        except (RecursionError, UnicodeEncodeError, OverflowError):
            raise InvalidArguments("they cannot be written as JSON: too deep, too large a number, or no text") from None
        if size > self._argument_bytes:
            raise InvalidArguments(f"they have {size} bytes; a call may have {self._argument_bytes}")

    async def _done(self, tool: Tool, request: ApiRequest, caller: Caller) -> Outcome:
        answer = await self._api.call(caller, request)
        document = {"result": answer.document, "requestId": answer.request_id}
        if tool.is_write:
            self._log.info("Written", tool=tool.name, path=request.path, requestId=answer.request_id)
            document = {"done": True, **document}
        return Outcome(document=document, result=Result.OK)

    async def _preview(self, form: Form, arguments: dict[str, Any], request: ApiRequest, caller: Caller) -> Outcome:
        """Tell what a write would do. What it would change is read, so an id that names nothing is told now."""
        shown = {"method": request.method, "path": request.path, "body": request.body}
        preview: dict[str, Any] = {"request": shown, "requiredRole": request.role}
        document: dict[str, Any] = {"done": False, "preview": preview}
        target = form.target(arguments)
        if target is not None:
            answer = await self._api.call(caller, target)
            current: dict[str, Any] = answer.document
            preview["target"] = {name: current[name] for name in _SHOWN_OF_TARGET if name in current}
            if request.method == "PUT":
                preview["changes"] = _changes(current, request.body)
            document["requestId"] = answer.request_id
        return Outcome(document=document, result=Result.PREVIEW)


def hints(tool: Tool) -> dict[str, bool]:
    """Return what a client may show before it asks its user."""
    return {
        "read_only_hint": tool.effect is Effect.READ,
        "destructive_hint": tool.effect is Effect.CHANGE,
        "idempotent_hint": tool.effect is Effect.READ or tool.operation.startswith(("PUT", "DELETE")),
        "open_world_hint": False,
    }


def _changes(current: Mapping[str, Any], body: Mapping[str, Any]) -> dict[str, Any]:
    return {
        name: {"from": current.get(name), "to": value} for name, value in body.items() if current.get(name) != value
    }


def _result_of(error: ApiError) -> Result:
    if error.status == _RATE_LIMITED:
        return Result.LIMITED
    return Result.UNAVAILABLE if error.status in _UNAVAILABLE else Result.REFUSED
