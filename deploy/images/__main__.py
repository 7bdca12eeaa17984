"""`python -m deploy.images`: write the page of the images' sizes."""

from __future__ import annotations

from pathlib import Path
from tempfile import TemporaryDirectory

from deploy.images.page import PAGE, page
from deploy.images.sizes import SERVICES, build, contents_of


def main() -> None:
    """Write the page."""
    with TemporaryDirectory() as folder:
        images = {tier: Path(folder, tier) for tier in SERVICES}
        for tier, site_packages in images.items():
            build(contents_of(tier), site_packages)
        PAGE.write_text(page(images), encoding="utf-8")


if __name__ == "__main__":
    main()
