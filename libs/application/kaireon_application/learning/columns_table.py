"""Columns that have been read already, as a model reads them."""

from __future__ import annotations

from collections.abc import Mapping

import numpy as np

from kaireon_core.column import Column, Floats
from kaireon_core.learning.model import Fields, Model
from kaireon_core.table import Axis


class ColumnsTable(Fields):
    """Rows that are customers each, with one candidate; a field that was not read is null."""

    def __init__(self, columns: Mapping[str, Column], rows: int) -> None:
        """Hold the columns by the names of their fields."""
        self._columns = columns
        self._rows = rows

    @property
    def customers(self) -> int:
        """The number of rows."""
        return self._rows

    @property
    def candidates(self) -> int:
        """One."""
        return 1

    def column(self, name: str) -> tuple[Column, Axis]:
        """Return the column of this name, one value per row."""
        found = self._columns.get(name.removeprefix("customer."))
        return found if found is not None else Column.nulls(self._rows), Axis.CUSTOMER


def scores_of(model: Model, columns: Mapping[str, Column], rows: int) -> Floats:
    """Return the score of every row, shape (rows,)."""
    return np.broadcast_to(model.score(ColumnsTable(columns, rows)).values, (rows, 1))[:, 0]
