"""How long a test waits for what should take a moment."""

from __future__ import annotations

# No test says how quick something is: it waits until it holds, and only what never comes takes this long.
PATIENCE_SECONDS = 90.0
