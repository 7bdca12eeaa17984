"""Secrets that are generated once and kept in a file."""

from __future__ import annotations

import os
import secrets
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pathlib import Path


def read_or_create_secret(path: Path) -> str:
    """Return the secret in this file (mode 0600); on first use generate one, complete before it has its name."""
    if path.is_file():
        return path.read_text().strip()
    value = secrets.token_urlsafe(24)
    unfinished = path.with_name(f"{path.name}.new")
    unfinished.unlink(missing_ok=True)
    with os.fdopen(os.open(unfinished, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600), "w") as file:
        file.write(value)
    unfinished.rename(path)
    return value
