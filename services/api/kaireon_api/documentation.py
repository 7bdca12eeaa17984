"""The API's own description, rendered once per process."""

from __future__ import annotations

from collections.abc import Iterable
from importlib.metadata import version

import msgspec

from kaireon_api.docs_page import docs_page
from kaireon_api.openapi import openapi_document
from kaireon_api.operation import Operation


class Documentation(msgspec.Struct, frozen=True, kw_only=True):
    """The OpenAPI document as JSON and as a page."""

    document: bytes
    page: bytes


def document_operations(operations: Iterable[Operation]) -> Documentation:
    """Return the documentation of these operations."""
    document = openapi_document(operations, version=version("kaireon-api"))
    return Documentation(document=msgspec.json.encode(document), page=docs_page(document).encode())
