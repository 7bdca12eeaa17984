"""Waiting on a machine that has much else to do: until something holds, and for minutes if need be."""

from __future__ import annotations

from functools import partial

from kaireon_testkit import patience

PATIENCE_SECONDS = 600

eventually = partial(patience.eventually, seconds=PATIENCE_SECONDS)
