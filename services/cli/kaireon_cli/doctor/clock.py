"""Clocks: how far a server's is from this machine's."""

from __future__ import annotations

from collections.abc import Awaitable, Callable

from kaireon_cli.doctor.check import Finding, fail, ok, warn

# Leases and delays are told apart by seconds; statements and rate limits by less.
_WARN_SECONDS = 1.0
_FAIL_SECONDS = 30.0


async def compare(name: str, read: Callable[[], Awaitable[float]], now: Callable[[], float]) -> Finding:
    """Compare what `read` asks a server with `now`, both in seconds since 1970."""
    await read()  # connects: that would count as uncertain
    before = now()
    seconds = await read()
    after = now()
    return skew(name, seconds - (before + after) / 2, (after - before) / 2)


def skew(name: str, seconds: float, uncertain_seconds: float) -> Finding:
    """Say how far a server's clock is from this machine's; half a round trip is uncertain."""
    apart = max(0.0, abs(seconds) - uncertain_seconds)
    text = f"{abs(seconds):.2f} s {'ahead of' if seconds > 0 else 'behind'} this machine's"
    if apart <= _WARN_SECONDS:
        return ok(name, text)
    judged = fail if apart > _FAIL_SECONDS else warn
    return judged(name, text, "set both machines by one time server; `chronyc tracking` tells which is off")
