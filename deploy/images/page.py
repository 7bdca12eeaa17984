"""The page of the images' sizes."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path

from deploy.images.sizes import BASE_PULLED_MB, BASE_UNPACKED_MB, ROOT, contents_of, megabytes

PAGE = ROOT / "docs/reference/images.md"

_HEAD = f"""\
# Images

<!-- Made by `python -m deploy.images`. -->

One Dockerfile, `deploy/docker/Dockerfile`, makes the image of every tier. It holds Python, the packages of `uv.lock`
that the tier imports, and the tier; no compiler, and no package manager but the base's own. Only the ML worker has
scikit-learn. `deploy/docker/left_out.toml` names what the packages bring and no tier imports: their tests, most of
SciPy, services of AWS that nobody calls.

The sizes, in MB of 10^6 bytes for Linux on amd64 and Python 3.11, are those of the locked wheels as they are unpacked,
less what is left out, with the tier's own files. The base, `python:3.11.11-slim-bookworm`, is {BASE_PULLED_MB} MB as
Docker Hub has it, compressed, and about {BASE_UNPACKED_MB} MB unpacked: these two are its publisher's figures, nothing
here has pulled it. Bytecode, which the build makes so that a process starts sooner, comes on top.

| tier | wheels | in the image | with the base as published | with the base unpacked |
|---|---|---|---|---|
"""


def page(site_packages: Mapping[str, Path]) -> str:
    """Return the page, of what each tier's image has in this folder."""
    return _HEAD + "".join(_row(tier, folder) for tier, folder in site_packages.items())


def _row(tier: str, folder: Path) -> str:
    wheels = sum(file.size or 0 for wheel in contents_of(tier).wheels for file in wheel.files or ()) / 1e6
    held = megabytes(folder)
    return f"| {tier} | {wheels:.0f} | {held:.0f} | {held + BASE_PULLED_MB:.0f} | {held + BASE_UNPACKED_MB:.0f} |\n"
