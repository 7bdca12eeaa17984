"""The size of each image: its locked wheels, unpacked, without what the Dockerfile leaves out, and its base."""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import Distribution, distribution
from pathlib import Path

from packaging.requirements import Requirement

ROOT = Path(__file__).parents[2]
SERVICES = sorted(path.parent.name for path in (ROOT / "services").glob("*/pyproject.toml"))
# Of python:3.11.11-slim-bookworm for amd64: what Docker Hub says is pulled, and what that unpacks to.
BASE_PULLED_MB = 45
BASE_UNPACKED_MB = 125
_LEAVE_OUT = ROOT / "deploy/docker/leave_out.py"


class NotAsLocked(Exception):
    """This environment has another version of a package than uv.lock: `make setup`."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Contents:
    """What an image has in its site-packages: wheels of the index, and members of this workspace."""

    wheels: Sequence[Distribution]
    members: Sequence[Path]


def contents_of(service: str, extras: Sequence[str] = ()) -> Contents:
    """Return what an image holds; its wheels are those of this environment. Raises `NotAsLocked`."""
    flags = [flag for extra in ("image", *extras) for flag in ("--extra", extra)]
    export = ["export", "--quiet", "--frozen", "--no-dev", "--no-hashes", "--no-annotate", "--no-header"]
    command = [Path(sys.executable).with_name("uv"), *export, "--package", f"kaireon-{service}", *flags]
    done = subprocess.run(command, cwd=ROOT, check=True, capture_output=True, text=True)
    lines = done.stdout.splitlines()
    wanted = [Requirement(line) for line in lines if not line.startswith("-e ")]
    wanted = [one for one in wanted if one.marker is None or one.marker.evaluate()]
    wheels = [distribution(one.name) for one in wanted]
    others = [str(one) for one, wheel in zip(wanted, wheels, strict=True) if wheel.version not in one.specifier]
    if others:
        raise NotAsLocked(", ".join(others))
    members = [ROOT / line.removeprefix("-e ") for line in lines if line.startswith("-e ")]
    return Contents(wheels=wheels, members=members)


def build(contents: Contents, site_packages: Path) -> None:
    """Have in a folder what the Dockerfile has in its site-packages, but for bytecode."""
    for wheel in contents.wheels:
        for source, name in _files(wheel):
            target = site_packages / name
            target.parent.mkdir(parents=True, exist_ok=True)
            # Some packages share a file.
            if not target.exists():
                _link(source, target)
    for member in contents.members:
        (package,) = member.glob("kaireon_*")
        ignored = shutil.ignore_patterns("__pycache__")
        shutil.copytree(package, site_packages / package.name, copy_function=_link, ignore=ignored)
    subprocess.run([sys.executable, _LEAVE_OUT, site_packages], check=True)


def _files(wheel: Distribution) -> Iterator[tuple[Path, Path]]:
    for file in wheel.files or ():
        # Commands lie outside.
        if ".." not in file.parts and file.suffix != ".pyc":
            yield Path(str(wheel.locate_file(file))).resolve(), Path(file)


def _link(source: str | Path, target: str | Path) -> None:
    try:
        os.link(source, target)
    except OSError:
        # Another disk.
        shutil.copyfile(source, target)


def megabytes(folder: Path) -> float:
    """Return how much the files of a folder hold, in millions of bytes."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file()) / 1e6
