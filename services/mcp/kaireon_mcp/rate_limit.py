"""So many requests of one API key in a sliding window, counted by this process."""

from __future__ import annotations

import hashlib
import math
import time
from collections import OrderedDict, deque

from kaireon_runtime.mcp_settings import KeyLimit

_MOST_KEYS = 10_000


class RateLimiter:
    """Counts by the hash of the key; of very many keys those that came last are counted."""

    def __init__(self, limit: KeyLimit) -> None:
        self._limit = limit
        self._taken: OrderedDict[bytes, deque[float]] = OrderedDict()

    def take(self, api_key: str) -> int:
        """Count one request; return 0, or after how many seconds to come back with it."""
        name, now = hashlib.sha256(api_key.encode()).digest(), time.monotonic()
        taken = self._taken.setdefault(name, deque())
        self._taken.move_to_end(name)
        if len(self._taken) > _MOST_KEYS:
            self._taken.popitem(last=False)
        while taken and taken[0] <= now - self._limit.seconds:
            taken.popleft()
        if len(taken) >= self._limit.count:
            return max(1, math.ceil(taken[0] + self._limit.seconds - now))
        taken.append(now)
        return 0
