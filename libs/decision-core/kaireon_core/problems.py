"""Every problem of an input at once, each with its JSON path.

msgspec stops at the first problem, which is right for the fast path. Only when it has found one is the value walked
again, part by part, to find the others.
"""

from __future__ import annotations

import re
import types
from collections.abc import Callable, Iterator, Mapping
from itertools import islice
from typing import Annotated, Any, TypeVar, Union, cast, get_args, get_origin

import msgspec

T = TypeVar("T")

_PATH_SUFFIX = re.compile(r" - at `(?:key in )?(\$?[^`]*)`$")
_LIMIT = 100


class Problem(msgspec.Struct, frozen=True, kw_only=True):
    """One thing wrong with the caller's input, at a JSON path such as `$.nodes[2].config.scope`."""

    path: str
    message: str


class InvalidValue(Exception):
    """A value does not fit its type; carries every problem."""

    def __init__(self, problems: tuple[Problem, ...]) -> None:
        """Carry the problems; the message joins them."""
        self.problems = problems
        super().__init__("; ".join(f"{problem.path}: {problem.message}" for problem in problems))


def convert(value: object, type_: type[T], path: str = "$") -> T:
    """Return `value` (decoded JSON) as `type_`. Raises `InvalidValue` with every problem below `path`."""
    try:
        return msgspec.convert(value, type_)
    except msgspec.ValidationError:
        raise InvalidValue(tuple(islice(problems_of(value, type_, path), _LIMIT))) from None


def problems_of(value: object, type_: Any, path: str = "$", *, strict: bool = True) -> Iterator[Problem]:
    """Yield every problem of a value (decoded JSON) as `type_`.

    A problem is told of the smallest part that has it. `strict=False` takes numbers and booleans as text, as msgspec.
    """
    try:
        msgspec.convert(value, type_, strict=strict)
    except msgspec.ValidationError as error:
        has_unsound_part = False
        for problem in _parts(value, type_, path, strict=strict):
            has_unsound_part = True
            yield problem
        if not has_unsound_part:
            yield problem_in(error, path)


def problem_in(error: Exception, path: str = "$") -> Problem:
    """Return the one problem that msgspec names; its path, when it names one, continues ours."""
    message = str(error)
    found = _PATH_SUFFIX.search(message)
    inner = found.group(1).removeprefix("$") if found else ""
    return Problem(path=path + inner, message=_PATH_SUFFIX.sub("", message))


def _parts(value: object, type_: Any, path: str, *, strict: bool) -> Iterator[Problem]:
    """Yield the problems of a value's parts, where `type_` leaves no doubt what they were meant to be."""
    arms = list(_arms(type_))
    if isinstance(value, Mapping):
        mapping = cast("Mapping[str, object]", value)
        tagged = {arm.__struct_config__.tag: arm for arm in arms if _tag_field(arm)}
        if tagged:
            yield from _tagged(mapping, tagged, path, strict=strict)
            return
        fitting = [arm for arm in arms if get_origin(arm) is dict or _is_struct(arm)]
        if len(fitting) == 1:
            yield from _object(mapping, fitting[0], path, strict=strict)
    elif isinstance(value, list):
        items = [get_args(arm)[0] for arm in arms if _is_array(arm)]
        if len(items) == 1:
            for index, item in enumerate(cast("list[object]", value)):
                yield from problems_of(item, items[0], f"{path}[{index}]", strict=strict)


def _arms(type_: Any) -> Iterator[Any]:
    """Yield the types that a value may have, without what is said about them."""
    origin = get_origin(type_)
    if origin is Annotated:
        yield from _arms(get_args(type_)[0])
    elif origin in (Union, types.UnionType):
        for arm in get_args(type_):
            yield from _arms(arm)
    else:
        yield type_


def _is_struct(type_: Any) -> bool:
    return isinstance(type_, type) and issubclass(type_, msgspec.Struct)


def _is_array(type_: Any) -> bool:
    """Return whether all items have one type."""
    is_array = get_origin(type_) in (list, tuple, set, frozenset)
    return is_array and (len(get_args(type_)) == 1 or get_args(type_)[1:] == (...,))


def _tag_field(type_: Any) -> str | None:
    return cast("str | None", type_.__struct_config__.tag_field) if _is_struct(type_) else None


def _tagged(
    value: Mapping[str, object], tagged: dict[Any, type[msgspec.Struct]], path: str, *, strict: bool
) -> Iterator[Problem]:
    """Yield the problems of the struct that the value says it is; a lone struct's tag may be left out."""
    field = _tag_field(next(iter(tagged.values()))) or ""
    tag = next(iter(tagged)) if len(tagged) == 1 and field not in value else value.get(field)
    if isinstance(tag, str | int) and tag in tagged:
        yield from _object(value, tagged[tag], path, strict=strict)
    else:
        known = ", ".join(map(str, tagged))
        yield Problem(path=f"{path}.{field}", message=f"must be one of: {known}")


def _object(value: Mapping[str, object], type_: Any, path: str, *, strict: bool) -> Iterator[Problem]:
    if not _is_struct(type_):
        for key, item in value.items():
            yield from problems_of(item, get_args(type_)[1], f"{path}.{key}", strict=strict)
        return
    fields = {field.encode_name: field for field in msgspec.structs.fields(type_)}
    for name, field in fields.items():
        if name in value:
            yield from problems_of(value[name], field.type, f"{path}.{name}", strict=strict)
        elif field.required:
            yield Problem(path=f"{path}.{name}", message=f"{name} is required")
    if type_.__struct_config__.forbid_unknown_fields:
        for name in value:
            if name not in fields and name != type_.__struct_config__.tag_field:
                yield Problem(path=f"{path}.{name}", message="is not a known field")


def collect(build: Callable[[], T], problems: list[Problem]) -> T | None:
    """Return what `build` returns, or None after adding the problems that it raised."""
    try:
        return build()
    except InvalidValue as error:
        problems.extend(error.problems)
        return None
