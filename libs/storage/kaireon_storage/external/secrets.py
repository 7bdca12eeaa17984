"""Secrets by reference: `secret://env/NAME`, `secret://file/NAME`, and whatever holds secrets besides."""

from __future__ import annotations

import asyncio
import re
import time
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Protocol

from kaireon_application.learning.endpoint_rules import SECRET_REFERENCE, SECRET_SCHEME

# A secret that was replaced holds after this time at the latest.
_KEPT_SECONDS = 5.0
_LONGEST = 4096
# What a header can carry.
_VISIBLE = re.compile(r"[\x21-\x7e]+")


class UnknownSecret(Exception):
    """There is no such secret, or it is none that a header can carry. Says nothing of what was found."""


class SecretProvider(Protocol):
    """Holds secrets: the environment, files, a vault. Asked at most every few seconds for each name."""

    async def read(self, name: str) -> str | None:
        """Return the secret of this name, None when there is none; may raise `OSError` while it cannot be reached."""
        ...


class EnvironmentSecrets:
    """The variables `KAIREON_SECRET_<NAME>`, as they were when the process started."""

    def __init__(self, variables: Mapping[str, str]) -> None:
        """Take them by name, without the prefix."""
        self._variables = variables

    async def read(self, name: str) -> str | None:
        """Return a variable's value."""
        return self._variables.get(name)


class FileSecrets:
    """Files below one directory, as orchestrators mount them: links are followed as long as they stay below it."""

    def __init__(self, directory: Path | None) -> None:
        """Take SECRETS_DIR; without it there are none."""
        self._directory = directory

    async def read(self, name: str) -> str | None:
        """Return a file's text without the line break at its end."""
        return await asyncio.to_thread(self._read, name)

    def _read(self, name: str) -> str | None:
        if self._directory is None:
            return None
        root = self._directory.resolve()
        file = (root / name).resolve()
        if not file.is_relative_to(root) or not file.is_file():
            return None
        with file.open("rb") as opened:
            content = opened.read(_LONGEST + 2)
        return content.decode("utf-8", "replace").rstrip("\r\n")


class Secrets:
    """Resolves tokens when they are needed; what was found is kept for some seconds."""

    def __init__(
        self, providers: Mapping[str, SecretProvider], monotonic: Callable[[], float] = time.monotonic
    ) -> None:
        """Take the providers by the word behind `secret://`."""
        self._providers = providers
        self._monotonic = monotonic
        self._kept: dict[str, tuple[str, float]] = {}

    async def resolve(self, token: str) -> str:
        """Return the token itself, or what it refers to. Raises `UnknownSecret`."""
        if not token.startswith(SECRET_SCHEME):
            return token
        kept, until = self._kept.get(token, ("", 0.0))
        if self._monotonic() < until:
            return kept
        found = await self._read(token)
        if found is None or len(found) > _LONGEST or _VISIBLE.fullmatch(found) is None:
            raise UnknownSecret
        self._kept[token] = (found, self._monotonic() + _KEPT_SECONDS)
        return found

    async def _read(self, token: str) -> str | None:
        reference = SECRET_REFERENCE.fullmatch(token)
        provider = self._providers.get(reference["provider"]) if reference else None
        if reference is None or provider is None:
            return None
        try:
            return await provider.read(reference["name"])
        except OSError:
            return None
