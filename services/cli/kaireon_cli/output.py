"""How a command answers: JSON alone on stdout, or a few lines for people."""

from __future__ import annotations

import sys
from typing import Any

import msgspec


def print_json(content: Any) -> None:
    """Print one JSON document and nothing else."""
    sys.stdout.write(msgspec.json.encode(content).decode() + "\n")


def print_line(text: str) -> None:
    """Print one line for people."""
    sys.stdout.write(f"{text}\n")
