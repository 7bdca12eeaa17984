"""Take out of an environment what no tier imports: `python leave_out.py SITE_PACKAGES`; see left_out.toml beside it."""

from __future__ import annotations

import shutil
import sys
import tomllib
from pathlib import Path
from typing import Any


def leave_out(site_packages: Path, lists: list[dict[str, Any]]) -> None:
    """Remove the files and folders that the lists name."""
    for one in lists:
        if "unless" in one and (site_packages / one["unless"]).exists():
            continue
        keep = {site_packages / name for name in one.get("keep", ())}
        for pattern in one["paths"]:
            for found in sorted(site_packages.glob(pattern)):
                if found in keep:
                    continue
                if found.is_dir():
                    shutil.rmtree(found)
                else:
                    found.unlink(missing_ok=True)


if __name__ == "__main__":
    (folder,) = sys.argv[1:]
    leave_out(Path(folder), tomllib.loads(Path(__file__).with_name("left_out.toml").read_text("utf-8"))["left_out"])
