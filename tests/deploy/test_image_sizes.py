"""What the images hold: little enough, all that their tiers import, and nothing to compile with."""

from __future__ import annotations

import platform
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

from deploy.images.page import PAGE, page
from deploy.images.sizes import BASE_PULLED_MB, ROOT, SERVICES, build, contents_of, megabytes

SMOKE = Path(__file__).with_name("image_smoke.py")
MOST_MB = 400
NUMBER = re.compile(r"\d+")
# Wheels of other machines and other Pythons have other sizes.
IS_MEASURED_HERE = (sys.platform, platform.machine(), sys.version_info[:2]) == ("linux", "x86_64", (3, 11))
COMPILERS = {"cython", "meson", "setuptools", "wheel", "pip", "uv", "uv-build", "maturin", "cmake", "ninja"}


@pytest.fixture(scope="module")
def images(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    """What each tier's image has in its site-packages."""
    folders = {tier: tmp_path_factory.mktemp(tier) for tier in SERVICES}
    for tier, folder in folders.items():
        build(contents_of(tier), folder)
    return folders


def _errors(site_packages: Path) -> str:
    command = [sys.executable, "-B", "-I", "-S", "-W", "ignore", SMOKE, site_packages]
    return subprocess.run(command, capture_output=True, text=True, check=False).stderr


@pytest.mark.parametrize("tier", SERVICES)
def test_a_tier_imports_nothing_that_its_image_has_not(images: dict[str, Path], tier: str) -> None:
    assert _errors(images[tier]) == ""
    assert {wheel.name.lower() for wheel in contents_of(tier).wheels} & COMPILERS == set()
    assert (images[tier] / "sklearn").exists() == (tier == "ml-worker")


def test_the_extras_of_an_image_work_in_it(tmp_path: Path) -> None:
    build(contents_of("api", ["analysis", "onnx"]), tmp_path)
    assert _errors(tmp_path) == ""


@pytest.mark.parametrize("needed", ["scipy/special", "botocore/data/sts"])
def test_what_is_left_out_is_missed_where_a_tier_needs_it(tmp_path: Path, needed: str) -> None:
    build(contents_of("api"), tmp_path)
    shutil.rmtree(tmp_path / needed)
    assert Path(needed).name in _errors(tmp_path)


def test_the_image_of_the_api_is_small(images: dict[str, Path]) -> None:
    assert BASE_PULLED_MB + megabytes(images["api"]) <= MOST_MB


def test_the_page_of_sizes_is_current(images: dict[str, Path]) -> None:
    there, here = PAGE.read_text(encoding="utf-8"), page(images)
    assert NUMBER.sub("", there) == NUMBER.sub("", here)
    if IS_MEASURED_HERE:
        # The tiers' own files, which are among them, grow with every commit.
        found = zip(NUMBER.findall(there), NUMBER.findall(here), strict=True)
        assert all(abs(int(stated) - int(measured)) <= 2 for stated, measured in found)


def test_no_stage_installs_a_compiler() -> None:
    dockerfile = (ROOT / "deploy/docker/Dockerfile").read_text(encoding="utf-8")
    installed = [line for line in dockerfile.splitlines() if "apt-get install" in line]
    assert installed == ["    && apt-get install --yes --no-install-recommends libgomp1 \\"]
