"""Where a page stands in its list, as every list tells it."""

from __future__ import annotations

from kaireon_application.catalog.forms import Pagination
from kaireon_application.platform.cursor import encode_cursor


def pagination_of(total: int, limit: int, next_position: object) -> Pagination:
    """Return what a page says of itself; `next_position` is where the next one begins, None on the last page."""
    cursor = encode_cursor(next_position)
    return Pagination(total=total, limit=limit, has_more=cursor is not None, next_cursor=cursor)
