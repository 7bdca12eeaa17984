"""The model card as Markdown."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, cast

import msgspec

from kaireon_application.learning.model_card import ModelCard

_NUMBERS = ("auc", "aucStandardError", "logLoss", "brier", "accuracy", "calibrationError", "rmse", "mae", "r2")


def model_card_text(card: ModelCard) -> str:
    """Return the card in readable Markdown, its parts in the order of the card."""
    use, data = card.intended_use, card.data
    parts = [
        f"# {_text(card.model.name)}",
        _status(card),
        _text(card.model.description or ""),
        "## Intended use",
        f"It predicts {_text(use.predicts)}. The score is {use.score_meaning}. It learns {_text(use.learns)}.",
        "## Data",
        _table(
            ("what", "value"),
            [(name, value) for name, value in msgspec.to_builtins(data).items() if value is not None],
        ),
        "## Features",
        _table(
            ("field", "importance", "constraint"),
            [(one.field, _number(one.importance), one.constraint or "") for one in card.features if one.selected],
        ),
        "## Metrics",
        _table(("metric", "value"), [(one, _number(card.metrics[one])) for one in _NUMBERS if one in card.metrics]),
        "### Calibration",
        _rows(card.metrics.get("calibration"), ("rows", "meanScore", "positiveRate")),
        "### Lift",
        _rows(card.metrics.get("lift"), ("decile", "rows", "positiveRate", "lift")),
        "## Lifecycle",
        _table(
            ("at", "from", "to", "by"),
            [
                (one.at.isoformat(timespec="seconds"), one.previous_status, one.new_status, one.by_key_id or "")
                for one in card.lifecycle
            ],
        ),
        "## Limits",
        "\n".join(f"- {_text(limit)}" for limit in card.limits),
    ]
    return "\n\n".join(part for part in parts if part) + "\n"


def _status(card: ModelCard) -> str:
    model = card.model
    told = f"`{model.key}`, {model.model_type}, version {model.version}, family {_text(model.family)}: "
    return f"{told}{model.status}, {model.registry_status}."


def _rows(rows: Any, columns: Sequence[str]) -> str:
    found = cast("list[Any]", rows) if isinstance(rows, list) else []
    # Metrics may be written by hand, and hold anything.
    tables = [cast("dict[str, Any]", row) for row in found if isinstance(row, dict)]
    return _table(columns, [[_number(row.get(column)) for column in columns] for row in tables])


def _table(columns: Sequence[str], rows: Sequence[Sequence[object]]) -> str:
    if not rows:
        return "None."
    lines = [columns, ["---"] * len(columns), *rows]
    return "\n".join("| " + " | ".join(_text(str(cell)) for cell in line) + " |" for line in lines)


def _number(value: Any) -> str:
    return f"{value:.4f}" if isinstance(value, float) else "" if value is None else str(value)


def _text(text: str) -> str:
    """Return text that neither breaks a table nor becomes markup."""
    escaped = text.replace("\\", "\\\\").replace("|", "\\|").replace("<", "&lt;").replace("`", "\\`")
    return " ".join(escaped.split())
