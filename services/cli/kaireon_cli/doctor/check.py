"""A check, what it found, and how checks are run: each within its time, and none of them breaks the others."""

from __future__ import annotations

import asyncio
import re
from collections.abc import Awaitable, Callable, Iterable, Sequence
from enum import StrEnum

import msgspec

TIMEOUT_SECONDS = 5.0
_LOGIN = re.compile(r"(://[^\s:/@]*:)[^\s@/]*(@)")
_SHORTEST_SECRET = 4


class State(StrEnum):
    """How something is."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"


class Finding(msgspec.Struct, frozen=True, kw_only=True):
    """What a check found; `next` is what to do, empty where nothing is."""

    name: str
    state: State
    text: str
    next: str = ""


class CannotRun(Exception):
    """The check cannot be made from here; the message says why and, after a line break, what would let it."""


class Check(msgspec.Struct, frozen=True, kw_only=True):
    """Something to look at. `look` returns findings, or raises whatever its server raises: then the check failed."""

    name: str
    look: Callable[[], Awaitable[Sequence[Finding]]]
    next: str
    """What to do when it fails or takes too long."""


def ok(name: str, text: str) -> Finding:
    """Return that all is well."""
    return Finding(name=name, state=State.OK, text=text)


def warn(name: str, text: str, next_step: str) -> Finding:
    """Return that something may be wrong."""
    return Finding(name=name, state=State.WARN, text=text, next=next_step)


def fail(name: str, text: str, next_step: str) -> Finding:
    """Return that something is wrong."""
    return Finding(name=name, state=State.FAIL, text=text, next=next_step)


async def examine(checks: Iterable[Check], timeout_seconds: float = TIMEOUT_SECONDS) -> list[Finding]:
    """Make all checks at once, and return what they found in their order."""
    found = await asyncio.gather(*(_made(check, timeout_seconds) for check in checks))
    return [finding for findings in found for finding in findings]


async def _made(check: Check, timeout_seconds: float) -> Sequence[Finding]:
    try:
        async with asyncio.timeout(timeout_seconds):
            return await check.look()
    except CannotRun as error:
        reason, _, remedy = str(error).partition("\n")
        return [warn(check.name, f"cannot be checked: {reason}", remedy)]
    except TimeoutError:
        return [fail(check.name, f"no answer within {timeout_seconds:g} s", check.next)]
    except Exception as error:  # noqa: BLE001 - drivers raise what they like, and each is an answer
        return [fail(check.name, " ".join(f"{error}".split()) or type(error).__name__, check.next)]


class Mask:
    """Takes secrets out of texts: logins of URLs, and what is known to be secret, wherever it stands."""

    def __init__(self, secrets: Iterable[str]) -> None:
        """Take what is secret. Very short ones are looked for in URLs only: they would be found in other words."""
        self._secrets = sorted({one for one in secrets if len(one) >= _SHORTEST_SECRET}, key=len, reverse=True)

    def text(self, text: str) -> str:
        """Return a text without secrets."""
        for secret in self._secrets:
            text = text.replace(secret, "***")
        return _LOGIN.sub(r"\1***\2", text)

    def finding(self, finding: Finding) -> Finding:
        """Return a finding without secrets."""
        return msgspec.structs.replace(finding, text=self.text(finding.text), next=self.text(finding.next))
