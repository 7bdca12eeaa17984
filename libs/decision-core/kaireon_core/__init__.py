"""Pure decision engine: facts and a compiled flow in, a decision and its reasons out."""

# Stored with every trace: a replay is exact under the same version only.
from __future__ import annotations

__version__ = "0.1.0"
