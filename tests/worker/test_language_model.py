"""Words for an analysis from an OpenAI-compatible endpoint: a stand-in here, because the real ones are outside."""

from __future__ import annotations

import asyncio
import logging
from collections.abc import AsyncGenerator, Callable
from contextlib import asynccontextmanager
from typing import Any

import msgspec
import pytest

from kaireon_application.learning.analysis import Analysis, Engine
from kaireon_application.learning.run_analysis import NoSummary
from kaireon_runtime.settings import LanguageModelSettings
from kaireon_worker import language_model
from kaireon_worker.language_model import LanguageModel

KEY = "sk-very-secret"
ANALYSIS = Analysis(engine=Engine.LOCAL, sampled=False, sample_size=42, total_rows=42, seed=0)

Answer = Callable[[asyncio.StreamWriter], Any]


class StandIn:
    """What an endpoint was asked, and where it is."""

    def __init__(self) -> None:
        self.url = ""
        self.head = ""
        self.question: dict[str, Any] = {}


@asynccontextmanager
async def stand_in(answer: Answer) -> AsyncGenerator[StandIn]:
    """Serve one kind of answer to every question."""
    asked = StandIn()

    async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            asked.head = (await reader.readuntil(b"\r\n\r\n")).decode()
            length = next(
                int(line.split(":")[1]) for line in asked.head.lower().splitlines() if "content-length" in line
            )
            asked.question = msgspec.json.decode(await reader.readexactly(length))
            await answer(writer)
        except ConnectionError:
            return
        finally:
            writer.close()

    running = await asyncio.start_server(serve, "127.0.0.1", 0)
    async with running:
        asked.url = f"http://127.0.0.1:{running.sockets[0].getsockname()[1]}/v1"
        yield asked


def replying(body: bytes, status: str = "200 OK") -> Answer:
    async def reply(writer: asyncio.StreamWriter) -> None:
        head = f"HTTP/1.1 {status}\r\ncontent-type: application/json\r\ncontent-length: {len(body)}\r\n\r\n"
        writer.write(head.encode() + body)
        await writer.drain()

    return reply


def completion(content: Any) -> bytes:
    return msgspec.json.encode({"choices": [{"message": {"role": "assistant", "content": content}}]})


async def test_an_analysis_is_put_into_words() -> None:
    async with stand_in(replying(completion("  Two groups.  "))) as asked:
        words = await LanguageModel(asked.url + "/", "tiny", KEY).summarize(ANALYSIS)
    assert words == "Two groups."
    assert asked.head.startswith("POST /v1/chat/completions ")
    assert f"authorization: Bearer {KEY}".lower() in asked.head.lower()
    assert asked.question["model"] == "tiny"
    assert '"totalRows":42' in asked.question["messages"][-1]["content"]


async def test_without_a_key_none_is_sent() -> None:
    async with stand_in(replying(completion("x"))) as asked:
        await LanguageModel(asked.url, "tiny", None).summarize(ANALYSIS)
    assert "authorization" not in asked.head.lower()


async def test_long_words_are_cut() -> None:
    async with stand_in(replying(completion("x" * 10_000))) as asked:
        assert len(await LanguageModel(asked.url, "tiny", None).summarize(ANALYSIS)) == 4_000


async def endless(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b" " * 65_536)
        await writer.drain()


async def silent(_writer: asyncio.StreamWriter) -> None:
    await asyncio.sleep(60)


async def dripping(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\n\r\n")
    while True:
        writer.write(b" ")
        await writer.drain()
        await asyncio.sleep(0.05)


async def cut_off(writer: asyncio.StreamWriter) -> None:
    writer.write(b"HTTP/1.1 200 OK\r\ncontent-length: 99\r\n\r\n{")
    await writer.drain()


FAILURES: list[tuple[Answer, str]] = [
    (replying(b"{}", "500 Oops"), "http_status 500"),
    (replying(b"{}", "401 Unauthorized"), "http_status 401"),
    (replying(b"", "302 Found\r\nlocation: http://127.0.0.1:1/"), "http_status 302"),
    (replying(b"hello"), "not_json"),
    (replying(b"\xff\xfe"), "not_json"),
    (replying(b'{"choices": "none"}'), "not_json"),
    (replying(b'{"choices": []}'), "empty"),
    (replying(completion(None)), "empty"),
    (replying(completion("   ")), "empty"),
    (endless, "too_large"),
    (silent, "timeout"),
    (dripping, "timeout"),
    (cut_off, "connection"),
]


@pytest.mark.parametrize(
    ("answer", "reason"), FAILURES, ids=[f"{index}-{one[1]}" for index, one in enumerate(FAILURES)]
)
async def test_whatever_it_does_there_is_a_reason_and_no_secret(
    answer: Answer, reason: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    caplog.set_level(logging.DEBUG)
    monkeypatch.setattr(language_model, "_SECONDS", 0.4)
    async with stand_in(answer) as asked:
        with pytest.raises(NoSummary) as caught:
            await LanguageModel(asked.url, "tiny", KEY).summarize(ANALYSIS)
    assert str(caught.value) == reason
    assert KEY not in caplog.text


@pytest.mark.parametrize("url", ["http://127.0.0.1:1", "http://[broken", "http://no-such-host.invalid"])
async def test_an_address_that_leads_nowhere_is_a_reason(url: str) -> None:
    with pytest.raises(NoSummary, match=r"connection|timeout"):
        await LanguageModel(url, "tiny", KEY).summarize(ANALYSIS)


@pytest.mark.parametrize(
    "given", [{"ai_base_url": "http://x"}, {"ai_model": "m"}, {"ai_base_url": "ftp://x", "ai_model": "m"}], ids=str
)
def test_half_a_configuration_is_refused_at_start(given: dict[str, str]) -> None:
    with pytest.raises(ValueError, match=r"AI_BASE_URL|http"):
        LanguageModelSettings.model_validate(given)


def test_the_key_is_not_shown_by_the_settings() -> None:
    given = {"ai_base_url": "http://x", "ai_model": "m", "ai_api_key": KEY}
    settings = LanguageModelSettings.model_validate(given)
    assert KEY not in repr(settings)
    assert LanguageModelSettings().ai_base_url is None
