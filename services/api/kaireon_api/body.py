"""The bytes of a request: held to the limits before anything looks at them."""

from __future__ import annotations

from collections.abc import AsyncIterator, Collection, Mapping

from starlette.types import Receive, Scope

from kaireon_api.errors import HeaderTooLarge, PathTooLong, PayloadTooLarge, UnsupportedMediaType

MAX_PATH_BYTES = 8 * 1024
MAX_HEADER_BYTES = 16 * 1024
_MAX_LENGTH_DIGITS = 15


class ClientGone(Exception):
    """The client closed the connection before it had sent its whole request."""


def check_head(scope: Scope) -> None:
    """Raise `PathTooLong` or `HeaderTooLarge` for what is above its limit."""
    if len(scope["raw_path"]) > MAX_PATH_BYTES or len(scope["query_string"]) > MAX_PATH_BYTES:
        raise PathTooLong
    for name, value in scope["headers"]:
        if len(name) + len(value) > MAX_HEADER_BYTES:
            raise HeaderTooLarge


async def read_body(headers: Mapping[str, str], receive: Receive, limit: int) -> bytes:
    """Return the whole body. Raises `PayloadTooLarge` as soon as it is known to be above the limit (bytes)."""
    check_length(headers, limit)
    message = await receive()
    if message["type"] == "http.request" and not message.get("more_body", False):
        return _within(message.get("body", b""), limit)
    received = bytearray()
    while message["type"] == "http.request":
        received += message.get("body", b"")
        _within(received, limit)
        if not message.get("more_body", False):
            return bytes(received)
        message = await receive()
    raise ClientGone


async def body_pieces(receive: Receive, limit: int) -> AsyncIterator[bytes]:
    """Return the body as it arrives. Raises `PayloadTooLarge` once more than the limit (bytes) has come."""
    received = 0
    while True:
        message = await receive()
        if message["type"] != "http.request":
            raise ClientGone
        piece: bytes = message.get("body", b"")
        received += len(piece)
        if received > limit:
            raise _too_large(limit)
        yield piece
        if not message.get("more_body", False):
            return


def check_length(headers: Mapping[str, str], limit: int) -> None:
    """Raise `PayloadTooLarge` when the announced length is above the limit (bytes)."""
    announced = headers.get("content-length", "")
    if announced.isdigit() and (len(announced) > _MAX_LENGTH_DIGITS or int(announced) > limit):
        raise _too_large(limit)


def require_json(headers: Mapping[str, str]) -> None:
    """Raise `UnsupportedMediaType` unless the body is announced as JSON in UTF-8, as it is."""
    content_type = headers.get("content-type", "")
    if content_type != "application/json":
        media_type, _, parameters = content_type.lower().partition(";")
        charset = parameters.replace(" ", "").replace('"', "")
        if media_type.strip() != "application/json" or charset not in {"", "charset=utf-8"}:
            raise UnsupportedMediaType
    if headers.get("content-encoding", "identity").lower() != "identity":
        raise UnsupportedMediaType("Send the body without Content-Encoding")


def upload_type(headers: Mapping[str, str], accepted: Collection[str]) -> str:
    """Return the media type of a body that is no JSON. Raises `UnsupportedMediaType` unless it is one of these."""
    media_type = headers.get("content-type", "").partition(";")[0].strip().lower()
    is_encoded = headers.get("content-encoding", "identity").lower() != "identity"
    if media_type not in accepted or is_encoded:
        names = ", ".join(accepted)
        raise UnsupportedMediaType(f"Send the body without Content-Encoding, with the Content-Type of one of: {names}")
    return media_type


def _within(received: bytes | bytearray, limit: int) -> bytes:
    if len(received) > limit:
        raise _too_large(limit)
    return bytes(received)


def _too_large(limit: int) -> PayloadTooLarge:
    return PayloadTooLarge(f"The body may have {limit} bytes")
