"""DynamoDB: one item for each interaction, its partition the customer, its sort key the instant and the id."""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import AsyncGenerator, Iterator, Sequence
from functools import partial
from threading import Lock
from typing import Any, TypeAlias, cast
from uuid import UUID

import boto3.session
from botocore.config import Config
from botocore.exceptions import BotoCoreError, ClientError

from kaireon_application.customers.interaction_store import ExportPage, InteractionRecord, StoreMissing, StoreRefusal
from kaireon_application.errors import Unavailable
from kaireon_application.platform.cursor import decode_cursor, encode_cursor
from kaireon_runtime.store_settings import DynamoDbStore
from kaireon_storage.interactions.ddl import dynamodb_commands
from kaireon_storage.interactions.dynamodb_item import (
    PARTITION_KEY,
    SORT_KEY,
    item_of,
    key_of,
    partition_of,
    record_of,
    sort_bounds,
)
from kaireon_storage.interactions.partitioned import Span
from kaireon_storage.interactions.threads import BoundedThreads

Item: TypeAlias = dict[str, dict[str, Any]]

_MOST_ITEMS = 25  # in one BatchWriteItem
_TRIES = 6
_FIRST_PAUSE_SECONDS = 0.05
_CONNECT_SECONDS = 2
# The service's answers that are about the request itself: to send it again would not help.
_REFUSALS = {"ValidationException", "ItemCollectionSizeLimitExceededException", "SerializationException"}


class DynamoDbTable:
    """Implements `InteractionTable`. Credentials come from AWS's usual chain."""

    def __init__(self, settings: DynamoDbStore, timeout_seconds: float) -> None:
        """Describe the table; nothing is connected before the first call."""
        self._settings = settings
        self._timeout_seconds = timeout_seconds
        self._threads = BoundedThreads(settings.max_connections, "dynamodb")
        self._client: Any = None
        self._making = Lock()

    async def put(self, records: Sequence[InteractionRecord]) -> None:
        """Keep records, 25 a call; what the service leaves unprocessed is sent again, with growing pauses."""
        requests = [{"PutRequest": {"Item": item_of(record)}} for record in records]
        await asyncio.gather(*(self._write(batch) for batch in _batches(requests)))

    async def newest(
        self, tenant_id: UUID, customer_id: str, span: Span
    ) -> AsyncGenerator[Sequence[InteractionRecord]]:
        """Query the partition backwards, page by page."""
        low, high = sort_bounds(span)
        query = {
            "KeyConditionExpression": f"{PARTITION_KEY} = :customer AND {SORT_KEY} BETWEEN :low AND :high",
            "ExpressionAttributeValues": {
                ":customer": {"S": partition_of(tenant_id, customer_id)},
                ":low": {"S": low},
                ":high": {"S": high},
            },
            "ScanIndexForward": False,
            "Limit": span.page_rows,
            "ConsistentRead": True,
        }
        async for items in self._pages(query):
            yield [record for record in map(record_of, items) if record is not None]

    async def remove(self, tenant_id: UUID, customer_id: str) -> int:
        """Delete a customer's items, by their keys."""
        query = {
            "KeyConditionExpression": f"{PARTITION_KEY} = :customer",
            "ExpressionAttributeValues": {":customer": {"S": partition_of(tenant_id, customer_id)}},
            "ProjectionExpression": f"{PARTITION_KEY}, {SORT_KEY}",
            "ConsistentRead": True,
        }
        count = 0
        async for items in self._pages(query):
            requests = [{"DeleteRequest": {"Key": key_of(item)}} for item in items]
            await asyncio.gather(*(self._write(batch) for batch in _batches(requests)))
            count += len(items)
        return count

    async def scan(self, cursor: str | None, limit: int) -> ExportPage:
        """Scan on; a page ends after `limit` items or 1 MB, whichever comes first."""
        start = decode_cursor(cursor, dict[str, dict[str, str]])
        options: dict[str, Any] = {"Limit": limit, "ConsistentRead": True}
        if start is not None:
            options["ExclusiveStartKey"] = start
        answer = await self._call("scan", TableName=self._settings.table, **options)
        records = [record for record in map(record_of, answer["Items"]) if record is not None]
        return ExportPage(records=records, cursor=encode_cursor(answer.get("LastEvaluatedKey")))

    async def require(self) -> None:
        """Raise `StoreMissing` with the commands that make the table."""
        try:
            answer: dict[str, Any] = await self._call("describe_table", TableName=self._settings.table)
        except _NoTable:
            raise StoreMissing(
                f"DynamoDB has no table {self._settings.table}; create it with:\n" + dynamodb_commands(self._settings)
            ) from None
        keys = {part["AttributeName"]: part["KeyType"] for part in answer["Table"]["KeySchema"]}
        if keys != {PARTITION_KEY: "HASH", SORT_KEY: "RANGE"}:
            raise StoreMissing(
                f"the table {self._settings.table} in DynamoDB has other keys; name another by DYNAMODB_TABLE and "
                "create it with:\n" + dynamodb_commands(self._settings)
            )

    async def close(self) -> None:
        """End the threads and the connections."""
        self._threads.close()
        if self._client is not None:
            self._client.close()

    async def _pages(self, query: dict[str, Any]) -> AsyncGenerator[list[Item]]:
        start: dict[str, Any] = {}
        while True:
            answer = await self._call("query", TableName=self._settings.table, **query, **start)
            yield answer["Items"]
            if "LastEvaluatedKey" not in answer:
                return
            start = {"ExclusiveStartKey": answer["LastEvaluatedKey"]}

    async def _write(self, requests: list[dict[str, Any]]) -> None:
        waiting = requests
        for attempt in range(_TRIES):
            answer = await self._call("batch_write_item", RequestItems={self._settings.table: waiting})
            waiting = answer.get("UnprocessedItems", {}).get(self._settings.table, [])
            if not waiting:
                return
            pause = _FIRST_PAUSE_SECONDS * 2**attempt
            await asyncio.sleep(pause * (0.5 + secrets.randbelow(1000) / 1000))
        raise Unavailable("DynamoDB throttles writes: it left some unprocessed again and again")

    async def _call(self, operation: str, **arguments: Any) -> Any:
        try:
            return await self._threads.run(partial(self._blocking, operation, arguments))
        except ClientError as error:
            code = _code_of(error)
            if code == "ResourceNotFoundException":
                raise _NoTable(f"DynamoDB has no table {self._settings.table}") from error
            if code in _REFUSALS:
                raise StoreRefusal(f"DynamoDB refused: {error}") from error
            raise Unavailable(f"DynamoDB cannot serve: {error}") from error
        except (BotoCoreError, OSError) as error:
            raise Unavailable(f"DynamoDB cannot be reached: {error}") from error

    def _blocking(self, operation: str, arguments: dict[str, Any]) -> Any:
        return getattr(self._opened(), operation)(**arguments)

    def _opened(self) -> Any:
        # Made by the first call and in its thread: it reads files and takes a tenth of a second.
        with self._making:
            if self._client is None:
                self._client = _client(self._settings, self._timeout_seconds)
        return self._client


def _client(settings: DynamoDbStore, timeout_seconds: float) -> Any:
    config = Config(
        connect_timeout=min(_CONNECT_SECONDS, timeout_seconds),
        read_timeout=timeout_seconds,
        retries={"mode": "standard", "total_max_attempts": 2},
        max_pool_connections=settings.max_connections,
        tcp_keepalive=True,
    )
    session: Any = boto3.session.Session()
    return session.client("dynamodb", region_name=settings.region, endpoint_url=settings.endpoint_url, config=config)


class _NoTable(Unavailable):
    """The table is not there: at start a mistake, later a fault like others."""


def _code_of(error: ClientError) -> str:
    response = cast("dict[str, Any]", error.response)
    return str(response.get("Error", {}).get("Code", ""))


def _batches(requests: list[dict[str, Any]]) -> Iterator[list[dict[str, Any]]]:
    return (requests[start : start + _MOST_ITEMS] for start in range(0, len(requests), _MOST_ITEMS))
