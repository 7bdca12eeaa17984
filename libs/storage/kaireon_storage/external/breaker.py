"""A breaker for each model that is a service: after failures in a row nobody waits for it, in no process.

Redis holds the state (`kaireon:cb:`). While it is away each process goes by what it has seen itself.
"""

from __future__ import annotations

import secrets
import time
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import dataclass
from enum import IntEnum
from typing import TYPE_CHECKING, cast

import msgspec
from redis.exceptions import RedisError

from kaireon_runtime.catalogue import BREAKER_CHANGES, CACHE_ERRORS
from kaireon_runtime.logs import logger

if TYPE_CHECKING:
    from redis.asyncio import Redis

    from kaireon_runtime.metrics import Metrics

FAILURES = 5
OPEN_SECONDS = 60.0
# So long a refusal holds in this process without asking Redis again: an open breaker costs nothing.
_REFUSED_SECONDS = 0.25
# After a failure Redis is left alone for so long.
_PAUSE_SECONDS = 1.0
# A probe whose process died is followed by another after the time-out of its call and this.
_PROBE_SECONDS = 5.0
_COUNT_KEPT_MS = 24 * 3600 * 1000

# KEYS: failures in a row, open, probe. `open` lapses by itself; then one at a time may probe.
_ADMIT = """
if redis.call('EXISTS', KEYS[2]) == 1 then return 2 end
if tonumber(redis.call('GET', KEYS[1]) or '0') < tonumber(ARGV[1]) then return 0 end
if redis.call('SET', KEYS[3], ARGV[2], 'NX', 'PX', ARGV[3]) then return 1 end
return 2
"""
# Returns the failures where this one has opened the breaker, else 0.
_FAILED = """
local failures = redis.call('INCR', KEYS[1])
redis.call('PEXPIRE', KEYS[1], ARGV[3])
if failures < tonumber(ARGV[1]) then return 0 end
if redis.call('SET', KEYS[2], '1', 'NX', 'PX', ARGV[2]) then
    redis.call('DEL', KEYS[3])
    return failures
end
return 0
"""
# A call that began before the breaker opened does not close it: only the probe does. Returns 1 where it has.
_SUCCEEDED = """
local failures = tonumber(redis.call('GET', KEYS[1]) or '0')
if failures == 0 then return 0 end
if failures < tonumber(ARGV[1]) then
    redis.call('DEL', KEYS[1])
    return 0
end
if redis.call('GET', KEYS[3]) ~= ARGV[2] then return 0 end
redis.call('DEL', KEYS[1], KEYS[2], KEYS[3])
return 1
"""


class _Answer(IntEnum):
    """What `_ADMIT` returns."""

    CLOSED = 0
    PROBE = 1
    REFUSED = 2


class Subject(msgspec.Struct, frozen=True, kw_only=True):
    """Whose breaker: that of a tenant's model; `name` is what metrics call it."""

    tenant_id: str
    model_id: str
    name: str

    @property
    def keys(self) -> list[str]:
        """The keys of its state, in one slot of a cluster."""
        stem = f"kaireon:cb:{{{self.tenant_id}:{self.model_id}}}"
        return [f"{stem}:failures", f"{stem}:open", f"{stem}:probe"]


class Admission(msgspec.Struct, frozen=True, kw_only=True):
    """The leave to make one call; `probe` tells a probe from others."""

    subject: Subject
    probe: str


@dataclass(slots=True)
class _Own:
    """What this process has seen of a model itself, and until when it goes by a refusal."""

    failures: int = 0
    open_until: float = 0.0
    probing_until: float = 0.0
    refused_until: float = 0.0


class Breakers:
    """The breakers of one process; for one event loop. Nothing here raises or waits long."""

    def __init__(self, redis: Redis, metrics: Metrics, monotonic: Callable[[], float] = time.monotonic) -> None:
        """Share state through this client, whose time-outs are short."""
        self._redis = redis
        self._metrics = metrics
        self._monotonic = monotonic
        self._own: dict[Subject, _Own] = {}
        self._paused_until = 0.0
        self._log = logger("kaireon.breaker")

    async def admit(self, subject: Subject, timeout_ms: int) -> Admission | None:
        """Return the leave to call, None while the breaker is open or somebody else probes."""
        own, now = self._own.setdefault(subject, _Own()), self._monotonic()
        if now < own.refused_until:
            return None
        admission = Admission(subject=subject, probe=secrets.token_hex(8))
        probe_ms = timeout_ms + int(_PROBE_SECONDS * 1000)
        answer = await self._run(_ADMIT, subject, (FAILURES, admission.probe, probe_ms))
        if answer is None:
            answer = _admit_by_own(own, now, probe_ms / 1000)
        if answer == _Answer.REFUSED:
            own.refused_until = now + _REFUSED_SECONDS
            return None
        if answer == _Answer.PROBE:
            self._changed(subject, "open", "half_open")
        return admission

    async def failed(self, admission: Admission) -> None:
        """Note that a call came to nothing at all."""
        subject, own = admission.subject, self._own.setdefault(admission.subject, _Own())
        opened_by_own = _failed_by_own(own, self._monotonic())
        opened = await self._run(_FAILED, subject, (FAILURES, int(OPEN_SECONDS * 1000), _COUNT_KEPT_MS))
        failures = opened_by_own if opened is None else opened
        if failures:
            self._log.warning("a model's service is left alone", modelKey=subject.name, seconds=OPEN_SECONDS)
            self._changed(subject, "closed" if failures == FAILURES else "half_open", "open")

    async def succeeded(self, admission: Admission) -> None:
        """Note that a call brought a score."""
        subject, own = admission.subject, self._own.setdefault(admission.subject, _Own())
        was_open = own.failures >= FAILURES
        own.failures, own.open_until, own.probing_until = 0, 0.0, 0.0
        closed = await self._run(_SUCCEEDED, subject, (FAILURES, admission.probe))
        if closed or (closed is None and was_open):
            self._log.info("a model's service is called again", modelKey=subject.name)
            self._changed(subject, "half_open", "closed")

    async def _run(self, script: str, subject: Subject, arguments: Sequence[str | int]) -> int | None:
        """Return what a script returns, None while Redis is away."""
        if self._monotonic() < self._paused_until:
            return None
        try:
            return await cast("Awaitable[int]", self._redis.eval(script, 3, *subject.keys, *map(str, arguments)))
        except RedisError:
            self._metrics.add(CACHE_ERRORS, "breaker")
            self._paused_until = self._monotonic() + _PAUSE_SECONDS
            return None

    def _changed(self, subject: Subject, before: str, after: str) -> None:
        self._metrics.add(BREAKER_CHANGES, subject.name, before, after)


def _admit_by_own(own: _Own, now: float, probe_seconds: float) -> _Answer:
    if own.failures < FAILURES:
        return _Answer.CLOSED
    if now < own.open_until or now < own.probing_until:
        return _Answer.REFUSED
    own.probing_until = now + probe_seconds
    return _Answer.PROBE


def _failed_by_own(own: _Own, now: float) -> int:
    """Return the failures in a row where this one opens the breaker as far as this process knows, else 0."""
    own.failures += 1
    if own.failures < FAILURES or now < own.open_until:
        return 0
    own.open_until, own.probing_until = now + OPEN_SECONDS, 0.0
    return own.failures
