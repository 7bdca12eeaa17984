"""Programs from Debian's packages, unpacked without being installed."""

from __future__ import annotations

import os
import shutil
import subprocess
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from kaireon_testkit.native.home import Home

_FETCH_SECONDS = 120
_PLACES = f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin"


class NoProgram(Exception):
    """A program is neither installed nor to be had from apt."""


def find_program(home: Home, place: str, packages: Sequence[str]) -> Path:
    """Return a program that is installed, else the one at this place in these packages, fetched once.

    Raises `NoProgram`.
    """
    name = Path(place).name
    installed = shutil.which(name, path=_PLACES)
    if installed is not None:
        return Path(installed)
    folder = home.folder / "backends" / name
    program = folder / place
    if not program.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        _run(["apt-get", "download", *packages], folder)
        for package in folder.glob("*.deb"):
            _run(["dpkg", "-x", str(package), str(folder)], folder)
    return program


def _run(argv: list[str], folder: Path) -> None:
    try:
        subprocess.run(argv, check=True, cwd=folder, capture_output=True, text=True, timeout=_FETCH_SECONDS)
    except FileNotFoundError as error:
        raise NoProgram(f"{argv[0]} is not installed") from error
    except subprocess.SubprocessError as error:
        raise NoProgram(f"{' '.join(argv)}: {getattr(error, 'stderr', None) or error}") from error
