"""What narratives say, as data: one file of sentences for each language."""

from __future__ import annotations

import tomllib
from collections.abc import Sequence
from functools import cache
from importlib import resources

import msgspec

_FOLDER = resources.files("kaireon_application.decisioning") / "narratives"
_SUFFIX = ".toml"


class Words(msgspec.Struct, frozen=True, forbid_unknown_fields=True):
    """The sentences of one language: by mode and name, with `{names}` to fill in; and its words for what drops."""

    and_: str = msgspec.field(name="and")
    anyone: str
    nothing: str
    stages: dict[str, str]
    reasons: dict[str, str]
    regulator: dict[str, str]
    agent: dict[str, str]
    customer: dict[str, str]

    def stage(self, stage: str) -> str:
        """Return the name of a stage; one without a name in this language keeps its own."""
        return self.stages.get(stage, stage)

    def reason(self, type_: str) -> str:
        """Return a reason in plain words, by its type."""
        return self.reasons.get(type_, self.reasons["other"])

    def listed(self, things: Sequence[str]) -> str:
        """Return `a, b and c`."""
        if len(things) <= 1:
            return "".join(things)
        return f"{', '.join(things[:-1])} {self.and_} {things[-1]}"


@cache
def languages() -> tuple[str, ...]:
    """Return the languages that narratives are told in, as ISO 639-1 codes."""
    return tuple(sorted(file.name.removesuffix(_SUFFIX) for file in _FOLDER.iterdir() if file.name.endswith(_SUFFIX)))


@cache
def words_of(language: str) -> Words:
    """Return the sentences of one of `languages()`."""
    text = (_FOLDER / f"{language}{_SUFFIX}").read_text(encoding="utf-8")
    return msgspec.convert(tomllib.loads(text), Words)
