"""The documents of a directory: every `.yaml` and `.yml` below it, with several documents to a file parted by `---`."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import yaml

from kaireon_application.errors import InvalidInput

_SUFFIXES = frozenset({".yaml", ".yml"})
_FIELDS = {"kind", "key", "spec"}


def read_directory(directory: Path) -> list[dict[str, Any]]:
    """Return every document, in the order of the files' names. Raises `InvalidInput`."""
    if not directory.is_dir():
        raise InvalidInput(f"{directory}: is no directory")
    files = sorted(file for file in directory.rglob("*") if file.suffix in _SUFFIXES and file.is_file())
    found = [document for file in files for document in _documents(file)]
    if not found:
        raise InvalidInput(f"{directory}: has no document in a .yaml or .yml file")
    return found


def _documents(file: Path) -> Iterator[dict[str, Any]]:
    try:
        loaded: list[object] = list(yaml.safe_load_all(file.read_text(encoding="utf-8")))
    except OSError as error:
        raise InvalidInput(f"{file}: {error.strerror}") from None
    except (yaml.YAMLError, UnicodeDecodeError, RecursionError, ValueError) as error:
        raise InvalidInput(f"{file}: {error}") from None
    for place, document in enumerate(loaded, start=1):
        if document is None:
            continue
        if not isinstance(document, dict) or set(cast("dict[Any, Any]", document)) != _FIELDS:
            raise InvalidInput(f"{file}: document {place} must have kind, key and spec, and nothing else")
        named = cast("dict[str, Any]", document)
        kind = str(named["kind"])
        yield {**named, "kind": kind[:1].lower() + kind[1:]}
