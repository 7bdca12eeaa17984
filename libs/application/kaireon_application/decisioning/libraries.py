"""Which releases of the computing libraries are installed: with the engine's version they say who decided."""

from __future__ import annotations

from functools import cache
from importlib.metadata import PackageNotFoundError, version

# What a score or a comparison is computed with.
_COMPUTING = ("google-re2", "lightgbm", "msgspec", "numpy", "onnxruntime", "scipy")


@cache
def installed_libraries() -> str:
    """Return `name version` of each, in the order of their names, separated by commas."""
    found = ((name, _version(name)) for name in _COMPUTING)
    return ", ".join(f"{name} {release}" for name, release in found if release is not None)


def _version(name: str) -> str | None:
    try:
        return version(name)
    except PackageNotFoundError:
        return None
