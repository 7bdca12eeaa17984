"""`/decision-logs`: logs of decisions in three forms, whole or not at all."""

from __future__ import annotations

import io
import json
import math
from typing import TYPE_CHECKING, Any, cast

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping, Sequence

    import httpx

    from tests.api.conftest import Clients
    from tests.api.shop import Shop

PATH = "/api/v1/decision-logs"
NDJSON = "application/x-ndjson"
PARQUET = "application/vnd.apache.parquet"
ROW: dict[str, Any] = {"decisionId": "d0", "action": "a", "selectionProbability": 0.5, "reward": 1}
FULL: dict[str, Any] = {
    **ROW,
    "customerId": "c1",
    "timestamp": "2026-01-02T03:04:05Z",
    "slot": "1",
    "attributes": {"age": 40, "segment": "gold", "isNew": True, "gone": None},
    "eligible": ["a", "b"],
}

BAD_CHANCES = (("d0", 0.5), ("d1", math.nan))


def ndjson(rows: Sequence[Mapping[str, Any]]) -> bytes:
    return b"\n".join(json.dumps(row).encode() for row in rows) + b"\n"


def parquet(rows: list[dict[str, Any]]) -> bytes:
    sink = io.BytesIO()
    cast("Any", pq).write_table(cast("Any", pa).Table.from_pylist(rows), sink)
    return sink.getvalue()


def numbered(count: int, **fields: Any) -> list[dict[str, Any]]:
    return [{**ROW, **fields, "decisionId": f"d{number}"} for number in range(count)]


async def posted(api: Clients, content: bytes, media_type: str = NDJSON) -> httpx.Response:
    return await api.editor.post(PATH, content=content, headers={"Content-Type": media_type})


async def problem_of(api: Clients, row: object, at: int = 2) -> dict[str, Any]:
    """Return the problem of a log whose row at this number is bad; nothing of it may be stored."""
    lines = [json.dumps(one) for one in numbered(at)]
    answer = await posted(api, "\n".join([*lines, row if isinstance(row, str) else json.dumps(row)]).encode())
    assert answer.status_code == 400, answer.text
    assert (await api.viewer.get(PATH)).json()["pagination"]["total"] == 0
    return answer.json()["error"]["details"][0]


async def test_a_log_is_stored_listed_described_and_deleted(api: Clients) -> None:
    rows = [FULL, {**FULL, "slot": "2", "action": "b", "timestamp": "2026-01-01T00:00:00+02:00"}, *numbered(5)[1:]]
    answer = await posted(api, ndjson(rows))
    assert answer.status_code == 201, answer.text
    stored = answer.json()
    assert stored == {"logId": stored["logId"], "rows": 6}
    assert answer.headers["location"] == f"{PATH}/{stored['logId']}"
    log = (await api.viewer.get(f"{PATH}/{stored['logId']}")).json()
    described = {key: value for key, value in log.items() if key not in {"id", "createdAt"}}
    assert described == {
        "rows": 6,
        "decisions": 5,
        "customers": 1,
        "actions": 2,
        "slots": ["1", "2", None],
        "meanReward": 1.0,
        "firstAt": "2025-12-31T22:00:00Z",
        "lastAt": "2026-01-02T03:04:05Z",
    }
    assert (await api.viewer.get(PATH)).json()["data"] == [log]
    assert (await api.viewer.delete(f"{PATH}/{stored['logId']}")).status_code == 403
    assert (await api.editor.delete(f"{PATH}/{stored['logId']}")).status_code == 204
    assert (await api.editor.delete(f"{PATH}/{stored['logId']}")).status_code == 404
    assert (await api.viewer.get(f"{PATH}/{stored['logId']}")).status_code == 404
    assert (await api.viewer.get(f"{PATH}/nonsense")).status_code == 404


async def test_lists_are_paged(api: Clients) -> None:
    ids = [(await posted(api, ndjson(numbered(count)))).json()["logId"] for count in (1, 2, 3)]
    first = (await api.viewer.get(PATH, params={"limit": 2})).json()
    assert [log["id"] for log in first["data"]] == ids[:0:-1]
    cursor = first["pagination"]["nextCursor"]
    rest = (await api.viewer.get(PATH, params={"limit": 2, "cursor": cursor})).json()
    assert ([log["id"] for log in rest["data"]], rest["pagination"]["hasMore"]) == ([ids[0]], False)
    assert (await api.viewer.get(PATH, params={"cursor": "x"})).status_code == 400


async def test_viewers_may_not_upload(api: Clients) -> None:
    answer = await api.viewer.post(PATH, content=ndjson([ROW]), headers={"Content-Type": NDJSON})
    assert answer.status_code == 403


async def test_another_tenant_does_not_see_a_log(api: Clients, other_shop: Shop) -> None:
    log_id = (await posted(api, ndjson([ROW]))).json()["logId"]
    assert (await other_shop.api.viewer.get(f"{PATH}/{log_id}")).status_code == 404
    assert (await other_shop.api.editor.delete(f"{PATH}/{log_id}")).status_code == 404
    assert (await other_shop.api.viewer.get(PATH)).json()["data"] == []


async def test_the_three_forms_say_the_same(api: Clients) -> None:
    rows = [FULL, {**FULL, "decisionId": "d1", "action": "b", "attributes": {"age": 41.5, "segment": "tin"}}]
    header = (
        "decisionId,action,selectionProbability,reward,customerId,timestamp,slot,attributes.age,attributes,eligible"
    )
    lines = [
        header,
        'd0,a,0.5,1,c1,2026-01-02T03:04:05Z,1,40,"{""segment"": ""gold"", ""isNew"": true}","[""a"", ""b""]"',
        'd1,b,0.5,1,c1,2026-01-02T03:04:05Z,1,41.5,"{""segment"": ""tin""}",a|b',
    ]
    packed = parquet([{**row, "attributes": json.dumps(row["attributes"])} for row in rows])
    found: list[dict[str, Any]] = []
    for content, form in (
        (ndjson(rows), NDJSON),
        (("﻿" + "\r\n".join(lines)).encode(), "text/csv; charset=utf-8"),
        (packed, PARQUET),
    ):
        answer = await posted(api, content, form)
        assert answer.status_code == 201, answer.text
        log = (await api.viewer.get(f"{PATH}/{answer.json()['logId']}")).json()
        found.append({key: value for key, value in log.items() if key not in {"id", "createdAt"}})
    assert found[0] == found[1] == found[2]


@pytest.mark.parametrize(
    ("change", "path"),
    [
        ({"selectionProbability": 0}, "$[2].selectionProbability"),
        ({"selectionProbability": 1.0000001}, "$[2].selectionProbability"),
        ({"selectionProbability": -0.1}, "$[2].selectionProbability"),
        ({"selectionProbability": None}, "$[2].selectionProbability"),
        ({"selectionProbability": "0.5"}, "$[2].selectionProbability"),
        ({"reward": "much"}, "$[2].reward"),
        ({"reward": 1e13}, "$[2].reward"),
        ({"reward": None}, "$[2].reward"),
        ({"reward": True}, "$[2].reward"),
        ({"decisionId": ""}, "$[2].decisionId"),
        ({"decisionId": None}, "$[2].decisionId"),
        ({"action": ""}, "$[2].action"),
        ({"action": ["a"]}, "$[2].action"),
        ({"action": "x" * 256}, "$[2].action"),
        ({"action": "c", "eligible": ["a", "b"]}, "$[2].action"),
        ({"eligible": []}, "$[2].eligible"),
        ({"slot": 1.5}, "$[2].slot"),
        ({"timestamp": "yesterday"}, "$[2].timestamp"),
        ({"timestamp": "2026-01-02T03:04:05"}, "$[2].timestamp"),
        ({"timestamp": "0001-01-01T00:00:00+09:00"}, "$[2].timestamp"),
        ({"attributes": {"a": {"b": 1}}}, "$[2].attributes.a"),
        ({"attributes": [1]}, "$[2].attributes"),
        ({"attributes": {"a": 10**400}}, "$[2].attributes.a"),
        ({"action": "a\0b"}, "$[2]"),
        ({"propensity": 0.5}, "$[2].propensity"),
        ({"decisionId": "d1"}, "$[2].decisionId"),
    ],
)
async def test_a_bad_row_is_named_by_its_number_from_0_and_nothing_is_stored(
    api: Clients, change: dict[str, Any], path: str
) -> None:
    problem = await problem_of(api, {**ROW, "decisionId": "new", **change})
    assert problem["path"] == path
    assert problem["message"]


@pytest.mark.parametrize(
    "line",
    ['{"decisionId": "x"', "[]", "7", "nonsense", '{"reward": NaN}', '{"reward": 1e999}', "[" * 5000, '"\\ud800"'],
)
async def test_a_line_that_is_no_row_is_named(api: Clients, line: str) -> None:
    assert (await problem_of(api, line))["path"].startswith("$[2]")


async def test_every_required_field_is_missed(api: Clients) -> None:
    answer = await posted(api, b"{}")
    missing = {problem["path"] for problem in answer.json()["error"]["details"]}
    assert missing == {f"$[0].{name}" for name in ROW}


@pytest.mark.parametrize("content", [b"", b"\n\n  \n"], ids=["nothing", "blank lines"])
async def test_an_empty_log_is_refused(api: Clients, content: bytes) -> None:
    answer = await posted(api, content)
    assert (answer.status_code, answer.json()["error"]["message"]) == (400, "The log has no rows")


@pytest.mark.parametrize(
    ("content", "said"),
    [
        (b"decisionId,action,selectionProbability,reward\nd0,a,nan,1\n", "$[0].selectionProbability"),
        (b"decisionId,action,selectionProbability,reward\nd0,a,0.5,1\nd1,a,0.5,inf\n", "$[1].reward"),
        (b"decisionId,action,selectionProbability,reward\nd0,a,0.5,1\nd1,a,half,1\n", "$[1].selectionProbability"),
        (b"decisionId,action,selectionProbability,reward\nd0,a,0.5\n", "3 values for 4 columns"),
        (b"decisionId,action,selectionProbability,reward\nd0,,0.5,1\n", "$[0].action"),
        (b"decisionId,action,selectionProbability,reward,clicks\nd0,a,0.5,1,2\n", "'clicks'"),
        (b"decisionId,action,action,selectionProbability,reward\nd0,a,a,0.5,1\n", "twice"),
        (b'decisionId,action,selectionProbability,reward\nd0,"a,0.5,1\n', "CSV"),
        (b"decisionId,action,selectionProbability,reward\nd0,a\xff,0.5,1\n", "UTF-8"),
        (b"decisionId,action,selectionProbability,reward,attributes\nd0,a,0.5,1,{\n", "$[0].attributes"),
        (b"decisionId,action,selectionProbability,reward\n", "no rows"),
    ],
)
async def test_bad_csv_is_refused(api: Clients, content: bytes, said: str) -> None:
    answer = await posted(api, content, "text/csv")
    assert answer.status_code == 400, answer.text
    assert said in answer.json()["error"]["message"]


async def test_bad_parquet_is_refused(api: Clients) -> None:
    assert (await posted(api, b"PAR1 nonsense PAR1", PARQUET)).status_code == 400
    packed = parquet([{**ROW, "decisionId": name, "selectionProbability": chance} for name, chance in BAD_CHANCES])
    answer = await posted(api, packed, PARQUET)
    assert answer.status_code == 400
    assert answer.json()["error"]["details"][0]["path"] == "$[1].selectionProbability"
    truncated = await posted(api, packed[:-40], PARQUET)
    assert truncated.status_code == 400


@pytest.mark.parametrize("media_type", ["application/json", "text/plain", "", "application/gzip"])
async def test_other_forms_are_415(api: Clients, media_type: str) -> None:
    answer = await posted(api, ndjson([ROW]), media_type)
    assert answer.status_code == 415
    assert NDJSON in answer.json()["error"]["message"]


async def test_compressed_bodies_are_415(api: Clients) -> None:
    headers = {"Content-Type": NDJSON, "Content-Encoding": "gzip"}
    assert (await api.editor.post(PATH, content=ndjson([ROW]), headers=headers)).status_code == 415


async def test_more_than_64_mib_are_413_announced_or_not(api: Clients) -> None:
    line = ndjson([ROW])
    announced = line * (64 * 1024 * 1024 // len(line) + 1)
    assert (await posted(api, announced)).status_code == 413

    async def pieces() -> AsyncIterator[bytes]:
        piece = announced[: len(line) * 20_000]
        for _ in range(len(announced) // len(piece) + 2):
            yield piece

    answer = await api.editor.post(PATH, content=pieces(), headers={"Content-Type": NDJSON})
    assert answer.status_code == 413


async def test_a_log_of_several_parts_comes_back_whole_and_small(api: Clients) -> None:
    rows = numbered(45_000, attributes={"segment": "gold"}, eligible=["a", "b"])
    content = ndjson(rows)
    answer = await posted(api, content)
    assert answer.json()["rows"] == 45_000
    repeated = await posted(api, content + ndjson([{**ROW, "decisionId": "d0"}]))
    assert repeated.status_code == 400
    assert repeated.json()["error"]["details"][0]["path"] == "$[45000].decisionId"
