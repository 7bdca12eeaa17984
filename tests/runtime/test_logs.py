"""Logs: one object per line, the product's levels, no secrets."""

from __future__ import annotations

import asyncio
import subprocess
import sys
from uuid import UUID

import msgspec
import pytest

from kaireon_runtime.logs import hide_secrets
from kaireon_runtime.origin import Origin, all_of, origin, work_for

# Logging is a process's own: each case is one.
PROGRAM = """
import logging, sys
from kaireon_runtime.logs import HTTP, configure_logs, logger
from kaireon_runtime.settings import LogFormat, LogLevel
configure_logs("test", LogLevel(sys.argv[1]), LogFormat(sys.argv[2]))
log = logger("kaireon.test")
log.error("error line", apiKey="krn_0123456789abcdef")
log.warning("warn line")
logging.getLogger("library").info("info line: %s", "postgresql://kaireon:hunter2@host/db")
logging.getLogger("httpx").info("a line for every request")
logging.getLogger("kaireon.http").log(HTTP, "http line", extra={"status": 200})
log.debug("debug line")
try:
    raise ValueError("krn_0123456789abcdef")
except ValueError:
    log.exception("failed")
"""


def lines(level: str, log_format: str = "json") -> list[str]:
    ended = subprocess.run(
        (sys.executable, "-c", PROGRAM, level, log_format), capture_output=True, check=True, text=True
    )
    assert ended.stdout == ""
    assert "hunter2" not in ended.stderr
    assert "0123456789abcdef" not in ended.stderr
    return ended.stderr.splitlines()


@pytest.mark.parametrize(
    ("level", "shown"),
    [
        ("error", ["error", "error"]),
        ("warn", ["error", "warn", "error"]),
        ("info", ["error", "warn", "info", "error"]),
        ("http", ["error", "warn", "info", "http", "error"]),
        ("silly", ["error", "warn", "info", "http", "debug", "error"]),
    ],
)
def test_a_level_shows_itself_and_what_is_more_urgent(level: str, shown: list[str]) -> None:
    events = [msgspec.json.decode(line) for line in lines(level)]

    assert [event["level"] for event in events] == shown
    assert {event["service"] for event in events} == {"test"}
    assert all(event["message"] and event["timestamp"].endswith("Z") for event in events)


def test_extra_fields_and_tracebacks_are_part_of_the_object() -> None:
    events = [msgspec.json.decode(line) for line in lines("http")]

    assert events[3]["status"] == 200
    assert "Traceback" in events[-1]["exception"]


def test_the_console_shows_the_same_messages() -> None:
    assert "warn line" in "\n".join(lines("info", "console"))


def test_what_is_secret_is_known_by_name_or_by_form() -> None:
    shown = hide_secrets(
        None,
        "info",
        {
            "api_key": "x",
            "Authorization": "x",
            "db_password": "x",
            "url": "redis://:pw@host/0",
            "text": "key krn_abcdefghijkl used",
            "monkey": "x",
            "count": 1,
            "headers": {"authorization": "y"},
        },
    )

    assert [name for name, value in shown.items() if value == "x"] == ["monkey"]
    assert "pw" not in shown["url"]
    assert shown["text"] == "key [hidden] used"
    assert shown["count"] == 1
    assert shown["headers"] == {"authorization": "[hidden]"}


@pytest.mark.parametrize(
    ("told", "shown"),
    [
        (
            'new row violates check "c"\nDETAIL:  Failing row contains (ann,\n40).\nHINT:  none',
            'new row violates check "c"\nDETAIL: [hidden]\nHINT:  none',
        ),
        ("duplicate key\nDETAIL:  Key (customer_id)=(ann) exists.", "duplicate key\nDETAIL: [hidden]\n"),
        (
            "invalid input syntax for type bigint: \"ann\"\nCONTEXT:  unnamed portal parameter $1 = 'ann'",
            'invalid input syntax for type bigint: "[hidden]"\nCONTEXT: [hidden]\n',
        ),
        (
            "E: x\nDETAIL:  Failing row contains (ann).\n\nThe above exception was the direct cause",
            "E: x\nDETAIL: [hidden]\nThe above exception was the direct cause",
        ),
        ("no DETAIL: in the middle of a line", "no DETAIL: in the middle of a line"),
    ],
)
def test_rows_that_postgres_tells_of_are_hidden(told: str, shown: str) -> None:
    assert hide_secrets(None, "", {"reason": told}) == {"reason": shown}


async def test_a_line_tells_of_the_requests_of_its_task_and_of_no_other() -> None:
    async def named(name: str) -> dict[str, object]:
        work_for(Origin((name,), UUID(int=1)))
        await asyncio.sleep(0)
        return origin().names()

    assert await asyncio.gather(named("a"), named("b")) == [
        {"requestId": "a", "tenantId": str(UUID(int=1))},
        {"requestId": "b", "tenantId": str(UUID(int=1))},
    ]
    assert all_of([Origin(("a",), UUID(int=1)), Origin(("b",), UUID(int=1))]).names()["requestIds"] == ["a", "b"]
    assert origin().names() == {}
