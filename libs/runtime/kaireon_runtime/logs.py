"""Logs: one JSON object or one coloured line per event, with its origin; never a secret, never a row of a table."""

from __future__ import annotations

import logging
import re
import sys
from collections.abc import Mapping, MutableMapping
from typing import Any, cast

import structlog

from kaireon_runtime.origin import origin
from kaireon_runtime.settings import LogFormat, LogLevel

HTTP = 17
VERBOSE = 13
SILLY = 5

LEVELS: Mapping[LogLevel, int] = {
    LogLevel.ERROR: logging.ERROR,
    LogLevel.WARN: logging.WARNING,
    LogLevel.INFO: logging.INFO,
    LogLevel.HTTP: HTTP,
    LogLevel.VERBOSE: VERBOSE,
    LogLevel.DEBUG: logging.DEBUG,
    LogLevel.SILLY: SILLY,
}

_NAMES = {number: level.value for level, number in LEVELS.items()} | {logging.CRITICAL: LogLevel.ERROR.value}

# They tell of every message and every request at `info`, about which our own lines say more.
_TALKATIVE = ("celery", "httpx")

_SECRET_NAME = re.compile(r"authorization|api_?key$|pepper|secret|password|token", re.IGNORECASE)
_SECRET_VALUE = re.compile(r"krn_[A-Za-z0-9_-]{8,}|(?<=://)[^/\s:@]*:[^/\s@]+(?=@)")
# What Postgres says beside its message holds rows, and so customers; so does the value that it cannot read.
_ROW = re.compile(
    r"^([ |]*(?:DETAIL|CONTEXT)): .*?"
    r"(?=^[ |]*(?:HINT|CONTEXT|QUERY): |^[ |+-]*(?:The above|During handling|Traceback)|\Z)",
    re.MULTILINE | re.DOTALL,
)
_UNREADABLE = re.compile(r'((?:syntax|value)[^"\n]*: )".*?"$', re.MULTILINE)
_HIDDEN = "[hidden]"

Logger = structlog.stdlib.BoundLogger


def configure_logs(service: str, level: LogLevel, log_format: LogFormat) -> None:
    """Send every log line of this process, also those of libraries, to stderr; call once, in main."""
    for number, name in _NAMES.items():
        logging.addLevelName(number, name)
    shared: list[structlog.typing.Processor] = [
        _tell_origin,
        structlog.stdlib.ExtraAdder(),
        _name_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True, key="timestamp"),
        structlog.processors.format_exc_info,
        structlog.processors.EventRenamer("message"),
        lambda _logger, _method, event: {**event, "service": service},
        hide_secrets,
    ]
    handler = logging.StreamHandler(sys.stderr)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=shared,
            processors=[structlog.stdlib.ProcessorFormatter.remove_processors_meta, _renderer(log_format)],
        )
    )
    logging.basicConfig(handlers=[handler], level=LEVELS[level], force=True)
    for library in _TALKATIVE:
        logging.getLogger(library).setLevel(max(logging.WARNING, LEVELS[level]))
    structlog.configure(
        processors=[
            structlog.stdlib.filter_by_level,
            structlog.stdlib.PositionalArgumentsFormatter(),
            *(shared[:1] + shared[2:]),
            structlog.stdlib.ProcessorFormatter.wrap_for_formatter,
        ],
        wrapper_class=structlog.stdlib.BoundLogger,
        logger_factory=structlog.stdlib.LoggerFactory(),
        cache_logger_on_first_use=True,
    )


def logger(name: str) -> Logger:
    """Return the logger of one part of the product, such as `kaireon.api`."""
    return structlog.stdlib.get_logger(name)


def hide_secrets(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    """Replace what is secret by its name (a key, a password) or by its form (an API key, a URL's password)."""
    return {name: _HIDDEN if _SECRET_NAME.search(name) else _without_secrets(value) for name, value in event.items()}


def _without_secrets(value: Any) -> Any:
    if isinstance(value, dict):
        return hide_secrets(None, "", cast("dict[str, Any]", value))
    return _without_rows(_SECRET_VALUE.sub(_HIDDEN, value)) if isinstance(value, str) else value


def _without_rows(text: str) -> str:
    return _UNREADABLE.sub(rf'\1"{_HIDDEN}"', _ROW.sub(rf"\1: {_HIDDEN}\n", text))


def _tell_origin(_logger: object, _method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    return {**origin().names(), **event}


def _name_level(_logger: object, method: str, event: MutableMapping[str, Any]) -> MutableMapping[str, Any]:
    record: logging.LogRecord | None = event.get("_record")
    name = "ERROR" if method == "exception" else method.upper()
    number = record.levelno if record is not None else logging.getLevelNamesMapping().get(name, logging.INFO)
    event.pop("color_message", None)  # uvicorn's second copy, for terminals
    event["level"] = _NAMES.get(number, LogLevel.INFO.value)
    return event


def _renderer(log_format: LogFormat) -> structlog.typing.Processor:
    if log_format is LogFormat.JSON:
        return structlog.processors.JSONRenderer(sort_keys=False)
    return structlog.dev.ConsoleRenderer(colors=sys.stderr.isatty(), event_key="message", pad_event_to=0)
