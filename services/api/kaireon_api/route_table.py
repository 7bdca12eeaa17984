"""Which operation a request is for: one dict lookup for paths without parameters, literals before parameters."""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Iterable
from typing import Generic, Protocol, TypeVar
from urllib.parse import unquote

import msgspec

from kaireon_application.errors import InvalidInput


class _Routed(Protocol):
    @property
    def method(self) -> str: ...
    @property
    def path(self) -> str: ...


RoutedT = TypeVar("RoutedT", bound=_Routed)


class Match(msgspec.Struct, Generic[RoutedT], frozen=True, kw_only=True):
    """What a path leads to: nothing (`allowed` empty), another method's operation, or `target`."""

    target: RoutedT | None = None
    parameters: dict[str, str] = {}
    allowed: tuple[str, ...] = ()
    is_alias: bool = False


class _Pattern(Generic[RoutedT]):
    """The operations of one path with parameters."""

    def __init__(self, path: str) -> None:
        self.segments = tuple(path.split("/"))
        self.names = {place: part[1:-1] for place, part in enumerate(self.segments) if part.startswith("{")}
        self.methods: dict[str, RoutedT] = {}

    def generality(self) -> tuple[bool, ...]:
        """Sort a literal before a parameter, from the left."""
        return tuple(place in self.names for place in range(len(self.segments)))

    def matches(self, segments: list[str]) -> bool:
        return all(
            bool(given) if place in self.names else given == self.segments[place]
            for place, given in enumerate(segments)
        )

    def parameters(self, segments: list[str]) -> dict[str, str]:
        return {name: _unquoted(segments[place]) for place, name in self.names.items()}


class RouteTable(Generic[RoutedT]):
    """Finds operations by method and path."""

    def __init__(self, routed: Iterable[RoutedT]) -> None:
        self._exact: defaultdict[str, dict[str, RoutedT]] = defaultdict(dict)
        patterns: dict[str, _Pattern[RoutedT]] = {}
        for target in routed:
            if "{" in target.path:
                methods = patterns.setdefault(target.path, _Pattern(target.path)).methods
            else:
                methods = self._exact[target.path]
            if target.method in methods:
                raise ValueError(f"{target.method} {target.path} is declared twice")
            methods[target.method] = target
        self._patterns: defaultdict[int, list[_Pattern[RoutedT]]] = defaultdict(list)
        for pattern in sorted(patterns.values(), key=_Pattern[RoutedT].generality):
            self._patterns[len(pattern.segments)].append(pattern)

    def find(self, method: str, path: str, raw_path: bytes) -> Match[RoutedT]:
        """Return where a request goes. Raises `InvalidInput` for a parameter that is no text."""
        methods = self._exact.get(path)
        if methods is not None and (target := methods.get(method)) is not None:
            return Match(target=target)
        return self._search(method, path, raw_path.decode("latin-1").split("/"), tuple(methods or ()))

    def _search(self, method: str, path: str, segments: list[str], allowed: tuple[str, ...]) -> Match[RoutedT]:
        for pattern in self._patterns.get(len(segments), ()):
            if pattern.matches(segments):
                if (target := pattern.methods.get(method)) is not None:
                    return Match(target=target, parameters=pattern.parameters(segments))
                allowed += tuple(pattern.methods)
        if allowed and method in {"PUT", "DELETE"} and (target := self._aliased(method, path)) is not None:
            return Match(target=target, is_alias=True)
        return Match(allowed=tuple(sorted(set(allowed))))

    def _aliased(self, method: str, path: str) -> RoutedT | None:
        """Return the operation of `<path>/{id}`: the documented form `<path>?id=` stands for it."""
        wanted = (*path.split("/"), "{id}")
        for pattern in self._patterns.get(len(wanted), ()):
            if pattern.segments == wanted:
                return pattern.methods.get(method)
        return None


def _unquoted(segment: str) -> str:
    try:
        text = unquote(segment, errors="strict")
    except UnicodeDecodeError:
        raise InvalidInput("The path is not UTF-8") from None
    if "\0" in text:
        raise InvalidInput("The path must not contain U+0000")
    return text
