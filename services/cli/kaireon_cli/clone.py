"""The folders of one clone that the command knows."""

from __future__ import annotations

from pathlib import Path

import msgspec


class Clone(msgspec.Struct, frozen=True, kw_only=True):
    """The checkout whose `.venv` runs this command, or the current folder's when it is installed elsewhere."""

    root: Path

    @property
    def var(self) -> Path:
        """Everything that is made while running; `make reset` erases it."""
        return self.root / "var"

    @property
    def secrets(self) -> Path:
        """Secrets generated once, each in a file of mode 0600."""
        return self.var / "secrets"

    @property
    def run_file(self) -> Path:
        """The description of the running stack (mode 0600)."""
        return self.var / "run" / "kaireon.json"

    @property
    def lock_file(self) -> Path:
        """Locked by the supervisor for as long as it lives."""
        return self.var / "run" / "lock"


def find_clone() -> Clone:
    """Return the clone that this file belongs to, else the current folder."""
    for folder in Path(__file__).resolve().parents:
        if (folder / "uv.lock").is_file() and (folder / "services").is_dir():
            return Clone(root=folder)
    return Clone(root=Path.cwd())
