"""What a config of an external endpoint must be beyond its types, and what of it nobody may read."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any, cast

from kaireon_application.catalog.kind import Change, Document
from kaireon_application.learning.scores_path import InvalidPath, compile_path
from kaireon_core.learning.definitions import ModelType
from kaireon_core.learning.external_config import ExternalEndpointConfig
from kaireon_core.problems import Problem

# What a literal token is shown as; written back it keeps the one that is stored.
HIDDEN = "***"
SECRET_SCHEME = "secret://"  # noqa: S105 - where secrets are, not one
# Who holds it, and under which name.
SECRET_REFERENCE = re.compile(r"secret://(?P<provider>env|file)/(?P<name>(?!.*\.\.)[A-Za-z0-9_][A-Za-z0-9._/-]{0,254})")


def is_external(document: Mapping[str, Any]) -> bool:
    """Return whether a model is an external endpoint."""
    return document.get("modelType") == ModelType.EXTERNAL_ENDPOINT


def token_of(config: object) -> str | None:
    """Return the token of a config that need not be sound, None where there is none."""
    auth = cast("dict[str, Any]", config).get("auth") if isinstance(config, dict) else None
    token = cast("dict[str, Any]", auth).get("token") if isinstance(auth, dict) else None
    return token if isinstance(token, str) else None


def with_stored_token(document: Document, previous: Mapping[str, Any] | None) -> Document:
    """Return a document in which a token that was written back as it is shown is the stored one again."""
    config: Any = document.get("config")
    stored = token_of((previous or {}).get("config"))
    if not is_external(document) or token_of(config) != HIDDEN or stored is None:
        return document
    return {**document, "config": _with_token(config, stored)}


def without_token(config: dict[str, Any]) -> dict[str, Any]:
    """Return a config as anybody may see it: a literal token is hidden, a reference is none."""
    token = token_of(config)
    if token is None or token.startswith(SECRET_SCHEME):
        return config
    return _with_token(config, HIDDEN)


def shown_model(document: Document) -> Document:
    """Return a model as anybody may see it."""
    config = document.get("config")
    if not is_external(document) or not isinstance(config, dict):
        return document
    return {**document, "config": without_token(cast("dict[str, Any]", config))}


def endpoint_problems(change: Change, config: ExternalEndpointConfig) -> Iterator[Problem]:
    """Yield what a look at the config finds, the operator's list of hosts given."""
    wrong = change.caller.reach.problem(config.endpoint)
    if wrong is not None:
        yield change.problem(wrong, "config", "endpoint")
    try:
        compile_path(config.response_mapping.scores_path)
    except InvalidPath as error:
        yield change.problem(str(error), "config", "responseMapping", "scoresPath")
    token = config.auth.token if config.auth else None
    if token == HIDDEN:
        yield change.problem(f"send the token: there is none yet that {HIDDEN} could keep", "config", "auth", "token")
    elif token is not None and token.startswith(SECRET_SCHEME) and SECRET_REFERENCE.fullmatch(token) is None:
        message = "must be secret://env/NAME or secret://file/NAME"
        yield change.problem(message, "config", "auth", "token")


def _with_token(config: dict[str, Any], token: str) -> dict[str, Any]:
    return {**config, "auth": {**config["auth"], "token": token}}
