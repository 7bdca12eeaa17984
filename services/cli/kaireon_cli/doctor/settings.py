"""What the doctor reads: where everything is, as the tiers are told."""

from __future__ import annotations

from collections.abc import Iterator
from urllib.parse import unquote, urlsplit

from pydantic import SecretStr, field_validator

from kaireon_cli.clone import find_clone
from kaireon_cli.connection import NotConnected
from kaireon_cli.run_file import read_run_file
from kaireon_cli.settings import DEFAULT_EVENT_STREAM, CommandSettings
from kaireon_runtime.brokers import AwsSettings, BusSettings, KafkaSettings, MskSettings, Publisher, PulsarSettings
from kaireon_runtime.settings import Pooler, is_no_publisher, load
from kaireon_runtime.store_settings import InteractionStoreSettings


class DoctorSettings(
    CommandSettings, KafkaSettings, MskSettings, AwsSettings, PulsarSettings, InteractionStoreSettings
):
    """Everything that says where a server of the installation is."""

    event_publisher: Publisher | None = Publisher.REDIS
    """None where it is `none`: no publisher runs."""
    event_stream: str = DEFAULT_EVENT_STREAM
    database_pooler: Pooler = Pooler.AUTO

    @field_validator("event_publisher", mode="before")
    @classmethod
    def _name_known_buses(cls, value: object) -> object:
        return None if isinstance(value, str) and is_no_publisher(value) else BusSettings.supported(value)

    @property
    def postgres_url(self) -> str:
        """Where Postgres is; `find_settings` has seen to it."""
        assert self.database_url is not None  # noqa: S101 - see above
        return self.database_url

    def secrets(self) -> Iterator[str]:
        """Yield every password, key and token that was given."""
        for name in type(self).model_fields:
            value = getattr(self, name)
            if isinstance(value, SecretStr):
                yield value.get_secret_value()
            elif isinstance(value, str) and "://" in value:
                yield from _passwords(value)


def _passwords(url: str) -> Iterator[str]:
    for part in url.split(","):
        login = urlsplit(part if "://" in part else f"//{part}").netloc.rpartition("@")[0]
        password = login.partition(":")[2]
        yield from {password, unquote(password)} - {""}


def find_settings() -> DoctorSettings:
    """Return the settings of the environment, else those of the stack that runs in this clone.

    Raises `NotConnected`; exits with code 2 for settings that cannot be.
    """
    settings = load(DoctorSettings)
    if settings.database_url is not None:
        return settings
    running = read_run_file(find_clone().run_file)
    if running is None:
        raise NotConnected
    return settings.model_copy(
        update={
            "database_url": running.database_url,
            "database_direct_url": running.database_url,
            "redis_url": running.redis_url,
            "event_stream": running.event_stream,
            "kaireon_api_url": settings.kaireon_api_url or running.api_url,
        }
    )
