"""Which queue items are messages about jobs; every other one is poison, kept in the dead-letter list."""

from __future__ import annotations

import json
from base64 import b64decode
from typing import Any
from uuid import UUID, uuid4

from kaireon_storage.broker.announcer import TASK_NAME
from kaireon_storage.postgres.jobs import PoisonMessage

_TEXT_LIMIT = 16_384


def judge(queue: str, content: bytes) -> PoisonMessage | None:
    """Return what is kept of an item as it lay in a queue; None when it is a message about a job."""
    text = content.decode("utf-8", "replace")
    try:
        item = json.loads(text)
    except ValueError:
        return garbage(queue, text)
    return find_poison(queue, item)


def find_poison(queue: str, item: Any) -> PoisonMessage | None:
    """Return what is kept of an item that is no message about a job; None when it is one.

    It is judged before Celery sees it: there, an item that is wrong in an unforeseen way stops the consumer, or is
    given back and comes again for ever.
    """
    try:
        envelope = _envelope(item)
    except (ValueError, TypeError, KeyError) as error:
        return _poison(queue, item, "undecodable_payload", f"not a message: {error}")
    if envelope["headers"]["task"] != TASK_NAME:
        return _poison(queue, item, "unknown_type", f"no task named {str(envelope['headers']['task'])[:200]!r}")
    try:
        _arguments(envelope)
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        return _poison(queue, item, "undecodable_payload", f"names no job: {error}")
    return None


def garbage(queue: str, text: str) -> PoisonMessage:
    """Return what is kept of an item that is not even JSON."""
    return PoisonMessage(
        id=uuid4(),
        queue=queue,
        type="unknown",
        text=_clean(text),
        code="undecodable_payload",
        reason="not a message: not JSON",
    )


def _envelope(item: Any) -> dict[str, Any]:
    properties = item["properties"]
    texts = (item["headers"]["id"], item["headers"]["task"], item["body"], properties["delivery_tag"])
    if not all(isinstance(text, str) for text in texts) or not isinstance(properties["delivery_info"], dict):
        raise TypeError("its parts are not those of a task")
    return item


def _arguments(envelope: dict[str, Any]) -> None:
    headers = envelope["headers"]
    if envelope["content-type"] != "application/json" or envelope["content-encoding"] != "utf-8":
        raise ValueError("the body is not JSON in UTF-8")
    if headers.get("eta") is not None or headers.get("expires") is not None:
        raise ValueError("it has a time of its own")
    positional, named, options = json.loads(_body(envelope))
    if positional != [] or set(named) != {"tenantId", "jobId"} or any(dict(options).values()):
        raise ValueError("its arguments are not tenantId and jobId alone")
    UUID(named["tenantId"])
    UUID(named["jobId"])


def _body(envelope: dict[str, Any]) -> str | bytes:
    body: str = envelope["body"]
    encoding = envelope["properties"].get("body_encoding")
    if encoding not in {None, "base64"}:
        raise ValueError("the encoding of the body is unknown")
    return b64decode(body, validate=True) if encoding else body


def _poison(queue: str, item: Any, code: str, reason: str) -> PoisonMessage:
    headers = item.get("headers") if isinstance(item, dict) else None
    names = headers if isinstance(headers, dict) else {}
    return PoisonMessage(
        id=uuid4(),
        queue=queue,
        type=_clean(str(names.get("task") or "unknown"))[:200],
        text=_clean(json.dumps(item)),
        code=code,
        reason=_clean(reason),
    )


def _clean(text: str) -> str:
    # Postgres refuses U+0000 and lone surrogates.
    return text.replace("\x00", "\ufffd").encode("utf-8", "replace").decode()[:_TEXT_LIMIT]
