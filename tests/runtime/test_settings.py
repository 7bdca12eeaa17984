"""Settings: all mistakes at once, one line each, never a value."""

from __future__ import annotations

import pytest

from kaireon_runtime.settings import ApiKeySettings, DatabaseSettings, LogLevel, ProcessSettings, RedisSettings, load

PEPPER = "p" * 32


class Everything(DatabaseSettings, RedisSettings, ApiKeySettings):
    """One tier that reads all of them."""


@pytest.fixture(autouse=True)
def _empty_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    for name in Everything.model_fields:
        monkeypatch.delenv(name.upper(), raising=False)


def test_every_mistake_is_told_and_the_process_ends_with_2(
    monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("REDIS_URL", "http://user:hunter2@host")
    monkeypatch.setenv("API_KEY_PEPPER", "hunter2")
    monkeypatch.setenv("CELERY_BROKER_URL", "redis+cluster://host")

    with pytest.raises(SystemExit) as ended:
        load(Everything)

    lines = capsys.readouterr().err.splitlines()
    assert ended.value.code == 2
    assert {line.split()[0] for line in lines} == {"DATABASE_URL", "REDIS_URL", "API_KEY_PEPPER", "CELERY_BROKER_URL"}
    assert "DATABASE_URL is not set" in lines
    assert "hunter2" not in "".join(lines)


@pytest.mark.parametrize("name", ["error", "warn", "info", "http", "verbose", "debug", "silly", "INFO"])
def test_the_products_level_names_are_understood(monkeypatch: pytest.MonkeyPatch, name: str) -> None:
    monkeypatch.setenv("LOG_LEVEL", name)

    assert load(ProcessSettings).log_level is LogLevel(name.lower())


def test_an_empty_variable_is_not_set(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LOG_FORMAT", "")
    monkeypatch.setenv("CELERY_BROKER_URL", "")

    settings = load(RedisSettings)

    assert settings.log_format == "json"
    assert settings.broker_url == settings.redis_url


def test_secrets_are_not_shown(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("DATABASE_URL", "postgresql://kaireon:hunter2@host/db")
    monkeypatch.setenv("API_KEY_PEPPER", PEPPER)

    shown = repr(load(Everything))

    assert "hunter2" not in shown
    assert PEPPER not in shown
