"""A service that misbehaves in every way: each ends in a reason for exactly the offers concerned."""

from __future__ import annotations

import asyncio
import json
import struct
from collections.abc import AsyncIterator
from socket import SO_LINGER, SOL_SOCKET
from typing import Any

import pytest

from kaireon_storage.external.client import MAX_ANSWER_BYTES
from kaireon_storage.external.scoring import EndpointScoring
from tests.api.scoring_service import Answer, Received, ScoringService, response, says, scoring_service, sends
from tests.storage.endpoint_calls import ALL, OFFERS, call_of, listed, scorer, told


@pytest.fixture
async def service() -> AsyncIterator[ScoringService]:
    """A service."""
    async with scoring_service() as running:
        yield running


@pytest.fixture
async def scoring(redis_url: str) -> AsyncIterator[EndpointScoring]:
    """The scoring of one process that may call this machine."""
    async with scorer(redis_url) as opened:
        yield opened


MALFORMED, MISSING, DUPLICATE = "malformed", "missing", "duplicate"
PARTIAL: list[tuple[str, Answer, list[float | str]]] = [
    ("NaN", listed(("a", "0.1"), ("b", "NaN"), ("c", "0.3")), [0.1, MALFORMED, 0.3]),
    ("Infinity", listed(("a", "Infinity"), ("b", "-Infinity"), ("c", "3")), [MALFORMED, MALFORMED, 3]),
    ("beyond a float", listed(("a", "1e999"), ("b", "2" * 400), ("c", "-7.5")), [MALFORMED, MALFORMED, -7.5]),
    ("a string", listed(("a", '"0.1"'), ("b", "0.2"), ("c", "0.3")), [MALFORMED, 0.2, 0.3]),
    ("null, boolean, object", listed(("a", "null"), ("b", "true"), ("c", "{}")), [MALFORMED] * 3),
    ("a missing id", listed(("a", "0.1"), ("c", "0.3")), [0.1, MISSING, 0.3]),
    ("a missing score", says('{"scores": [{"offerId": "a"}, {"offerId": "b", "score": 1}]}'), [MISSING, 1, MISSING]),
    ("twice the same", listed(("a", "0.1"), ("a", "0.10"), ("b", "1"), ("b", "1.0"), ("c", "0")), [0.1, 1, 0]),
    ("twice different", listed(("a", "0.1"), ("a", "0.2"), ("b", "1"), ("c", "0")), [DUPLICATE, 1, 0]),
    ("with and without", listed(("a", "0.1"), ("a", "null"), ("b", "1"), ("c", "0")), [DUPLICATE, 1, 0]),
    ("unknown ids", listed(("x", "1"), ("a", "0.1"), ("b", "0.2"), ("c", "0.3")), [0.1, 0.2, 0.3]),
    (
        "entries of other kinds",
        says('{"scores": [1, null, [], {"offerId": 7, "score": 1}, {"offerId": "a", "score": 2}]}'),
        [2, MISSING, MISSING],
    ),
]

WHOLE: list[tuple[str, Answer, str]] = [
    ("server error", says("{}", "500 Internal Server Error"), "http_status"),
    ("client error", says("{}", "404 Not Found"), "http_status"),
    ("created", says('{"scores": []}', "201 Created"), "http_status"),
    ("no content", sends(b"HTTP/1.1 204 No Content\r\n\r\n"), "http_status"),
    ("redirect", says("", "302 Found", "Location: http://127.0.0.1:1/"), "redirect"),
    ("permanent redirect", says("", "308 Permanent Redirect", "Location: /score"), "redirect"),
    ("no JSON", says("<html>"), "not_json"),
    ("nothing", says(""), "not_json"),
    ("no UTF-8", says(b'{"scores": "\xff"}'), "not_json"),
    ("deep", says("[" * 100_000), "not_json"),
    ("half a number", says('{"scores": [{"offerId": "a", "score": 0.'), "not_json"),
    ("compressed", says(b"\x1f\x8b", "200 OK", "Content-Encoding: gzip"), "not_json"),
    ("a path to nothing", says('{"result": []}'), "mapping"),
    ("no entries", says('{"scores": []}'), "mapping"),
    ("a number instead", says('{"scores": 3}'), "mapping"),
    ("a map instead", says('{"scores": {"a": 0.1}}'), "mapping"),
    ("unknown ids alone", listed(("x", "1")), "mapping"),
    ("no HTTP", sends(b"SSH-2.0-OpenSSH_9.6\r\n\r\n"), "connection"),
    ("announced too large", sends(b"HTTP/1.1 200 OK\r\nContent-Length: 9999999\r\n\r\n"), "too_large"),
    (
        "truncated",
        sends(b'HTTP/1.1 200 OK\r\nContent-Length: 99\r\nConnection: close\r\n\r\n{"scores": []}'),
        "not_json",
    ),
]


@pytest.mark.parametrize(("answer", "expected"), [one[1:] for one in PARTIAL], ids=[one[0] for one in PARTIAL])
async def test_what_is_malformed_concerns_its_offer_alone(
    scoring: EndpointScoring, service: ScoringService, answer: Answer, expected: list[float | str]
) -> None:
    service.answer = answer
    assert told(await scoring.score(call_of(service.url))) == dict(zip(OFFERS, expected, strict=True))


@pytest.mark.parametrize(("answer", "reason"), [one[1:] for one in WHOLE], ids=[one[0] for one in WHOLE])
async def test_what_fails_as_a_whole_concerns_every_offer(
    scoring: EndpointScoring, service: ScoringService, answer: Answer, reason: str
) -> None:
    async def answered_once(received: Received, writer: asyncio.StreamWriter) -> None:
        await answer(received, writer)
        await writer.drain()
        writer.close()

    service.answer = answered_once
    assert told(await scoring.score(call_of(service.url))) == dict.fromkeys(OFFERS, reason)
    assert service.calls == 1


async def test_nobody_there(scoring: EndpointScoring, service: ScoringService) -> None:
    found = await scoring.score(call_of("http://127.0.0.1:1/score"))
    assert told(found) == dict.fromkeys(OFFERS, "connection")


async def test_a_connection_that_is_reset(scoring: EndpointScoring, service: ScoringService) -> None:
    async def reset(_: Received, writer: asyncio.StreamWriter) -> None:
        socket = writer.get_extra_info("socket")
        socket.setsockopt(SOL_SOCKET, SO_LINGER, struct.pack("ii", 1, 0))
        writer.close()

    service.answer = reset
    found = await scoring.score(call_of(service.url, retries=3))
    assert told(found) == dict.fromkeys(OFFERS, "connection")
    assert service.calls == 3


async def test_an_endless_body_is_cut_off(scoring: EndpointScoring, service: ScoringService) -> None:
    sent = 0

    async def endless(_: Received, writer: asyncio.StreamWriter) -> None:
        nonlocal sent
        writer.write(b"HTTP/1.1 200 OK\r\nTransfer-Encoding: chunked\r\n\r\n")
        while True:
            writer.write(b"10000\r\n" + b" " * 0x10000 + b"\r\n")
            sent += 0x10000
            await writer.drain()

    service.answer = endless
    found = await scoring.score(call_of(service.url, timeoutMs=30_000))
    assert told(found) == dict.fromkeys(OFFERS, "too_large")
    assert sent < 20 * MAX_ANSWER_BYTES


async def test_an_answer_of_one_mebibyte_is_read_and_one_byte_more_is_not(
    scoring: EndpointScoring, service: ScoringService
) -> None:
    body = json.dumps({"scores": [{"offerId": offer, "score": 1} for offer in OFFERS]}).encode()
    service.answer = says(body.ljust(MAX_ANSWER_BYTES))
    assert told(await scoring.score(call_of(service.url))) == dict.fromkeys(OFFERS, 1.0)
    service.answer = says(body.ljust(MAX_ANSWER_BYTES + 1))
    assert told(await scoring.score(call_of(service.url))) == dict.fromkeys(OFFERS, "too_large")


async def _silence(_: Received, __: asyncio.StreamWriter) -> None:
    await asyncio.sleep(3600)


async def _slow_head(_: Received, writer: asyncio.StreamWriter) -> None:
    for byte in b"HTTP/1.1 200 OK\r\n" + b"X: " * 10_000:
        writer.write(bytes([byte]))
        await asyncio.sleep(0.01)


async def _slow_body(_: Received, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n")
    while True:
        writer.write(b" ")
        await asyncio.sleep(0.01)


async def _endless_headers(_: Received, writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n")
    while True:
        writer.write(b"X-More: 1\r\n")
        await writer.drain()
        await asyncio.sleep(0)


@pytest.mark.parametrize("answer", [_silence, _slow_head, _slow_body], ids=["silence", "slow head", "slow body"])
async def test_the_time_out_is_for_the_whole_call(
    scoring: EndpointScoring, service: ScoringService, answer: Answer
) -> None:
    service.answer = answer
    loop = asyncio.get_running_loop()
    began = loop.time()
    found = await scoring.score(call_of(service.url, timeoutMs=400, retries=5))
    assert told(found) == dict.fromkeys(OFFERS, "timeout")
    assert loop.time() - began < 5
    assert service.calls == 1


async def test_endless_headers_end(scoring: EndpointScoring, service: ScoringService) -> None:
    service.answer = _endless_headers
    found = await scoring.score(call_of(service.url))
    assert set(told(found).values()) <= {"connection", "timeout"}


@pytest.mark.parametrize(
    ("status", "retries", "calls"),
    [
        ("500 Internal Server Error", 1, 1),
        ("500 Internal Server Error", 3, 3),
        ("503 Service Unavailable", 5, 5),
        ("429 Too Many Requests", 2, 2),
        ("400 Bad Request", 5, 1),
        ("401 Unauthorized", 5, 1),
    ],
)
async def test_retries_are_attempts_in_all(
    scoring: EndpointScoring, service: ScoringService, status: str, retries: int, calls: int
) -> None:
    service.answer = says("{}", status)
    found = await scoring.score(call_of(service.url, retries=retries))
    assert told(found) == dict.fromkeys(OFFERS, "http_status")
    assert service.calls == calls


async def test_a_second_attempt_may_succeed(scoring: EndpointScoring, service: ScoringService) -> None:
    async def second(received: Received, writer: asyncio.StreamWriter) -> None:
        await (ALL if service.calls == 2 else says("{}", "502 Bad Gateway"))(received, writer)

    service.answer = second
    assert told(await scoring.score(call_of(service.url, retries=2))) == {"a": 0.1, "b": 0.2, "c": 0.3}


async def test_malformed_answers_are_not_asked_for_again(scoring: EndpointScoring, service: ScoringService) -> None:
    service.answer = says("no")
    await scoring.score(call_of(service.url, retries=5))
    assert service.calls == 1


async def test_connections_are_kept(scoring: EndpointScoring, service: ScoringService) -> None:
    service.answer = ALL
    for _ in range(5):
        await scoring.score(call_of(service.url))
    assert [one.connection for one in service.received] == [1] * 5


MAPPINGS: list[tuple[dict[str, str], Any]] = [
    ({"scoresPath": "$"}, [{"offerId": "a", "score": 1}]),
    ({"scoresPath": "$.data.items"}, {"data": {"items": [{"offerId": "a", "score": 1}]}}),
    ({"scoresPath": "$.rows[*].result"}, {"rows": [{"result": {"offerId": "a", "score": 1}}]}),
    ({"scoresPath": "$..scores"}, {"deep": {"er": {"scores": [{"offerId": "a", "score": 1}]}}}),
    ({"scoresPath": "$['the scores'][0:2]"}, {"the scores": [{"offerId": "a", "score": 1}, {}, {"offerId": "b"}]}),
    ({"offerIdField": "id", "scoreField": "p"}, {"scores": [{"id": "a", "p": 1}]}),
]


@pytest.mark.parametrize(("mapping", "body"), MAPPINGS, ids=[str(one[0]) for one in MAPPINGS])
async def test_the_mapping_finds_the_entries(
    scoring: EndpointScoring, service: ScoringService, mapping: dict[str, str], body: Any
) -> None:
    service.answer = says(json.dumps(body))
    found = await scoring.score(call_of(service.url, responseMapping=mapping))
    assert told(found) == {"a": 1, "b": "missing", "c": "missing"}


async def test_without_auth_no_token_is_sent(scoring: EndpointScoring, service: ScoringService) -> None:
    service.answer = sends(response(b"{}"))
    await scoring.score(call_of(service.url))
    assert "authorization" not in service.received[0].headers
