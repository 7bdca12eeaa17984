"""`python -m deploy.chart`: write what of the chart is made from elsewhere."""

from __future__ import annotations

from deploy.chart.files import GENERATED


def main() -> None:
    """Write every generated file of the chart."""
    for path, content in GENERATED.items():
        path.write_text(content(), encoding="utf-8")


if __name__ == "__main__":
    main()
