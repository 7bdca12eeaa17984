"""Types that the wire structs of many kinds share."""

from __future__ import annotations

from typing import Annotated, Any, Literal

from msgspec import Meta

# A key stands in paths beside UUIDs, so it holds nothing that a URL would have to escape; see `key.py`.
Key = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"^[A-Za-z0-9][A-Za-z0-9._:-]*$")]
Name = Annotated[str, Meta(min_length=1, max_length=255, pattern=r"\S")]
Text = Annotated[str, Meta(max_length=10_000)]
Label = Annotated[str, Meta(min_length=1, max_length=255)]
# The id or the key of another thing; stored as its id.
EntityRef = Annotated[str, Meta(min_length=1, max_length=255)]
Status = Literal["draft", "active", "paused", "archived"]
Percentage = Annotated[int, Meta(ge=0, le=100)]
Count = Annotated[int, Meta(ge=0)]
PositiveCount = Annotated[int, Meta(ge=1)]
Tags = Annotated[list[Label], Meta(max_length=100)]
# An open JSON object: what it may hold is the product's user's business.
OpenObject = Annotated[dict[str, Any], Meta(max_length=100)]
