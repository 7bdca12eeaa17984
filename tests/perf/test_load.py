"""The load generator and the summary: what they count is what happened."""

from __future__ import annotations

import asyncio
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from threading import Thread
from typing import TYPE_CHECKING

import pytest
from hypothesis import given
from hypothesis import strategies as st

from perf.load import Outcome, Plan, offer, parse
from perf.summary import Headline, percentile, summarise, verdict

if TYPE_CHECKING:
    from collections.abc import Generator


class _Echo(BaseHTTPRequestHandler):
    """Answers the body it got, with 503 where the body asks for it."""

    protocol_version = "HTTP/1.1"

    def do_POST(self) -> None:
        body = self.rfile.read(int(self.headers["Content-Length"]))
        self.send_response(503 if body == b"refuse" else 200)
        self.send_header("Content-Length", str(len(body)))
        self.end_headers()
        self.wfile.write(body)

    def log_message(self, format: str, *args: object) -> None:  # noqa: A002 - the name is http.server's
        """Say nothing."""


@pytest.fixture
def server_url() -> Generator[str]:
    with ThreadingHTTPServer(("127.0.0.1", 0), _Echo) as server:
        Thread(target=server.serve_forever, daemon=True).start()
        yield f"http://127.0.0.1:{server.server_address[1]}/echo"
        server.shutdown()


def test_every_answer_is_counted_once(server_url: str) -> None:
    plan = Plan(url=server_url, headers={}, bodies=[b"one", b"three"], connections=4, seconds=0.2, empty_mark=b"one")
    outcome = asyncio.run(offer(plan))
    assert outcome.errors == 0, outcome.complaint
    assert len(outcome.latencies_us) >= 4
    assert outcome.sample in {b"one", b"three"}
    assert 0 < outcome.empty < len(outcome.latencies_us)


def test_answer_other_than_200_is_an_error_and_no_latency(server_url: str) -> None:
    plan = Plan(url=server_url, headers={}, bodies=[b"refuse"], connections=1, seconds=0.1)
    outcome = asyncio.run(offer(plan))
    assert outcome.latencies_us == []
    assert outcome.errors > 0
    assert outcome.complaint == "503 refuse"


@given(cut=st.integers(min_value=0, max_value=10_000), body=st.binary(max_size=200))
def test_answer_is_parsed_only_when_it_is_whole(cut: int, body: bytes) -> None:
    whole = b"HTTP/1.1 201 Created\r\ncontent-LENGTH: %d\r\nX: y\r\n\r\n%s" % (len(body), body)
    part = whole[: min(cut, len(whole) - 1)]
    assert parse(bytearray(part)) is None
    assert parse(bytearray(whole)) == (201, body)


@given(st.lists(st.integers(min_value=1, max_value=10**7), min_size=1), st.floats(min_value=0.01, max_value=1))
def test_percentile_is_a_measured_value_with_that_share_below(latencies: list[int], share: float) -> None:
    ordered = sorted(latencies)
    found = percentile(ordered, share)
    assert found * 1000 in [pytest.approx(latency) for latency in ordered]
    assert sum(latency / 1000 <= found for latency in ordered) >= share * len(ordered) - 1e-6


def test_ratios_follow_from_the_line_itself() -> None:
    floor = Headline(rps=8000, p50=0.2, p95=0.3, p99=0.4)
    recommend = Headline(rps=2400, p50=1.0, p95=2.0, p99=3.0)
    line = verdict(floor, recommend)
    assert (line.ratio, line.p50_ratio) == (0.3, 5.0)


def test_rounds_are_pooled() -> None:
    rounds = [
        Outcome(seconds=2, latencies_us=[1000, 3000], errors=0, empty=0, sample=b"", complaint=""),
        Outcome(seconds=2, latencies_us=[2000, 4000], errors=1, empty=1, sample=b"", complaint=""),
    ]
    figures = summarise(rounds)
    assert (figures.rps, figures.p50, figures.p99, figures.requests, figures.errors) == (1.0, 2.0, 4.0, 4, 1)
