"""One operation, ready to answer: what it needs is prepared when the process starts."""

from __future__ import annotations

import time
from typing import Any

import msgspec
from starlette.types import Receive

from kaireon_api.aliases import resolve_alias
from kaireon_api.body import body_pieces, check_length, read_body, require_json, upload_type
from kaireon_api.decode import BodyDecoder, decode_parameters, decode_query
from kaireon_api.errors import PayloadTooLarge, UnsupportedMediaType
from kaireon_api.operation import Call, Limit, Operation, Principal, Reply, Upload
from kaireon_api.rate_limit import limit_of
from kaireon_api.services import Services
from kaireon_application.errors import InvalidInput


class Request(msgspec.Struct, frozen=True, kw_only=True):
    """A request whose caller is known and whose head is within its limits."""

    services: Services
    principal: Principal
    request_id: str
    path: dict[str, str]
    query_string: bytes
    headers: dict[str, str]
    receive: Receive
    is_alias: bool
    client: str = ""


class Endpoint:
    """Decodes what an operation takes, in the order in which faults are named, and calls its handler."""

    def __init__(self, operation: Operation, limits: dict[str, Limit]) -> None:
        self.operation = operation
        self.method = operation.method
        self.path = operation.path
        self.limit = limit_of(operation.path, limits, operation.limit)
        self._decoder = BodyDecoder(operation.body) if operation.body is not None else None

    async def answer(self, request: Request) -> Reply:
        """Return the handler's answer, or raise what is wrong with the request."""
        try:
            call = await self._decoded(request)
        except (PayloadTooLarge, UnsupportedMediaType, InvalidInput):
            # An id that names nothing is said first, but asked for only now: a good request does not pay for it.
            await self._find(request)
            raise
        return await self.operation.handler(call)

    async def _decoded(self, request: Request) -> Call[Any]:
        upload = self._upload(request)
        raw = await self._read(request) if upload is None else b""
        started = time.perf_counter()
        query = decode_query(request.query_string) if request.query_string else {}
        path = request.path
        if request.is_alias:
            id, raw = resolve_alias(query, raw)
            path = {"id": id}
        declared = self.operation.query
        body = self._body(raw) if upload is None else upload
        params = decode_parameters(query, declared) if declared is not None else None
        return Call(
            services=request.services,
            principal=request.principal,
            request_id=request.request_id,
            path=path,
            query=query,
            headers=request.headers,
            client=request.client,
            body=body,
            params=params,
            decode_ms=(time.perf_counter() - started) * 1000,
        )

    def _upload(self, request: Request) -> Upload | None:
        """Return the body of an operation that takes another form than JSON; its bytes are still to come."""
        if not self.operation.uploads:
            return None
        check_length(request.headers, self.operation.body_limit)
        media_type = upload_type(request.headers, self.operation.uploads)
        return Upload(media_type=media_type, pieces=body_pieces(request.receive, self.operation.body_limit))

    async def _read(self, request: Request) -> bytes:
        if self._decoder is None:
            check_length(request.headers, self.operation.body_limit)
            return b""
        raw = await read_body(request.headers, request.receive, self.operation.body_limit)
        if raw or not self.operation.is_body_optional:
            require_json(request.headers)
        return raw

    def _body(self, raw: bytes) -> Any:
        if self._decoder is None:
            return None
        is_absent = not raw and self.operation.is_body_optional
        return self._decoder.decode(b"{}" if is_absent else raw)

    async def _find(self, request: Request) -> None:
        if self.operation.find is None:
            return
        call = Call(
            services=request.services,
            principal=request.principal,
            request_id=request.request_id,
            path=request.path,
            query={},
            headers=request.headers,
            body=None,
        )
        if not request.is_alias:
            await self.operation.find(call)
        elif (id := _id_in(request.query_string)) is not None:
            await self.operation.find(msgspec.structs.replace(call, path={"id": id}))


def _id_in(query_string: bytes) -> str | None:
    try:
        return decode_query(query_string).get("id")
    except InvalidInput:
        return None


def encode(content: Any) -> bytes:
    """Return what a handler answered as bytes: as they are, or as JSON."""
    return content if isinstance(content, bytes) else msgspec.json.encode(content)
