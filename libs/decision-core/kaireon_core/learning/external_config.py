"""The config of a model that is an HTTP service of somebody else's."""

from __future__ import annotations

from typing import Annotated, Literal

import msgspec
from msgspec import Meta

from kaireon_core.learning.definitions import Name

# What a header can carry, so that a token is never more than a token.
Token = Annotated[str, Meta(min_length=1, max_length=4096, pattern=r"\A[\x21-\x7e]+\Z")]
Url = Annotated[str, Meta(min_length=1, max_length=2048)]
Path = Annotated[str, Meta(min_length=1, max_length=1024)]


class BearerAuth(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """The token of the Authorization header: a literal, or a reference such as `secret://env/NAME`."""

    token: Token
    type: Literal["bearer"] = "bearer"


class ResponseMapping(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Where the scores stand in an answer, and what counts for a candidate without one.

    `scores_path` is a JSONPath; `offer_id_field` and `score_field` are fields of each entry that it finds.
    """

    scores_path: Path = "$.scores"
    offer_id_field: Name = "offerId"
    score_field: Name = "score"
    fallback_score: float = 0.5


class ExternalEndpointConfig(msgspec.Struct, frozen=True, kw_only=True, rename="camel", forbid_unknown_fields=True):
    """Which service to call, and how: `timeout_ms` is for all of the `retries` attempts together."""

    endpoint: Url
    auth: BearerAuth | None = None
    timeout_ms: Annotated[int, Meta(ge=1, le=30_000)] = 3000
    retries: Annotated[int, Meta(ge=1, le=5)] = 1
    response_mapping: ResponseMapping = ResponseMapping()
