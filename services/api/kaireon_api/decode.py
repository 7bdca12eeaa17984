"""Bodies and query strings: decoded into their type at once, or refused with every problem and its JSON path."""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice
from typing import Any
from urllib.parse import parse_qsl

import msgspec

from kaireon_api.wire_rules import MAX_DEPTH, wire_problems
from kaireon_application.errors import InvalidInput
from kaireon_core.problems import Problem, problem_in, problems_of

_MAX_PROBLEMS = 100


class BodyDecoder:
    """Decodes the bodies of one operation."""

    def __init__(self, declared: Any) -> None:
        self._declared = declared
        self._decoder = msgspec.json.Decoder(declared)

    def decode(self, raw: bytes) -> Any:
        """Return the body. Raises `InvalidInput` with every problem."""
        try:
            body = self._decoder.decode(raw)
            problems = wire_problems(raw)
        except (msgspec.DecodeError, UnicodeDecodeError, RecursionError) as error:
            raise self._refusal(raw, error) from None
        if problems:
            raise InvalidInput.of(problems)
        return body

    def _refusal(self, raw: bytes, error: Exception) -> InvalidInput:
        try:
            value = msgspec.json.decode(raw)
            found = wire_problems(raw)
            found += islice(problems_of(value, self._declared), _MAX_PROBLEMS)
        except RecursionError:
            return InvalidInput.at("$", f"is nested deeper than {MAX_DEPTH}")
        except msgspec.ValidationError as beyond:
            return InvalidInput.of([problem_in(beyond)])
        except UnicodeDecodeError:
            return InvalidInput("The body is not UTF-8")
        except msgspec.DecodeError as malformed:
            return InvalidInput(f"The body is not valid JSON: {_without_subject(str(malformed))}")
        return InvalidInput.of(found or [problem_in(error)])


def decode_query(raw: bytes) -> dict[str, str]:
    """Return a query string's parameters, the last one of a name. Raises `InvalidInput` for what is no text."""
    try:
        pairs = parse_qsl(raw.decode("ascii"), keep_blank_values=True, errors="strict")
    except (UnicodeDecodeError, ValueError):
        raise InvalidInput("The query string is not UTF-8") from None
    if any("\0" in name or "\0" in value for name, value in pairs):
        raise InvalidInput("The query string must not contain U+0000")
    return dict(pairs)


def decode_parameters(query: Mapping[str, str], declared: Any) -> Any:
    """Return the parameters as their type, ignoring unknown ones. Raises `InvalidInput` with every problem."""
    given = [field for field in msgspec.structs.fields(declared) if field.encode_name in query]
    known = {field.encode_name: query[field.encode_name] for field in given}
    try:
        parameters = msgspec.convert(known, declared, strict=False)
    except msgspec.ValidationError:
        raise InvalidInput.of(problems_of(known, declared, "query", strict=False)) from None
    # The text `null` is no number and no name of a state; msgspec takes it for a parameter that is not given.
    if nulls := [field.encode_name for field in given if getattr(parameters, field.name) is None]:
        raise InvalidInput.of(Problem(path=f"query.{name}", message="must not be null") for name in nulls)
    return parameters


def _without_subject(message: str) -> str:
    return message.removeprefix("JSON is malformed: ")
