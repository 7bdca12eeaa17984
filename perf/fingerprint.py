"""Which machine and which software a stored run was measured on."""

from __future__ import annotations

import importlib.metadata
import os
import platform
import subprocess
from pathlib import Path

import msgspec

PACKAGES = (
    "hiredis",
    "httptools",
    "lightgbm",
    "msgspec",
    "numpy",
    "psycopg",
    "redis",
    "starlette",
    "uvicorn",
    "uvloop",
    "zen-engine",
)
ROOT = Path(__file__).parents[1]


class Fingerprint(msgspec.Struct, frozen=True, kw_only=True, rename="camel"):
    """Two runs with the same fingerprint may be compared number by number; others by their ratios."""

    cpu_model: str
    cpu_count: int
    memory_mib: int
    kernel: str
    python: str
    packages: dict[str, str]
    git_commit: str
    is_dirty: bool


def _cpu_model() -> str:
    for line in Path("/proc/cpuinfo").read_text(encoding="utf-8").splitlines():
        if line.startswith("model name"):
            return line.partition(":")[2].strip()
    return platform.machine()


def _git(*arguments: str) -> str:
    done = subprocess.run(["git", *arguments], cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S607
    return done.stdout.strip()


def fingerprint() -> Fingerprint:
    """Read it from the running system and the checkout."""
    return Fingerprint(
        cpu_model=_cpu_model(),
        cpu_count=os.cpu_count() or 1,
        memory_mib=os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES") // 2**20,
        kernel=platform.release(),
        python=platform.python_version(),
        packages={name: importlib.metadata.version(name) for name in PACKAGES},
        git_commit=_git("rev-parse", "HEAD"),
        is_dirty=bool(_git("status", "--porcelain")),
    )
