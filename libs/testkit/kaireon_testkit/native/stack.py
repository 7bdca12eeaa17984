"""Postgres and a Redis-protocol server for one test session."""

from __future__ import annotations

import os
import shutil
import subprocess
import time
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path
from typing import TYPE_CHECKING

import msgspec
import psutil

from kaireon_testkit.native.home import Home, claim_folder, find_home, outside_folder
from kaireon_testkit.native.ports import free_port
from kaireon_testkit.native.postgres import prepare_postgres
from kaireon_testkit.native.valkey import prepare_valkey

if TYPE_CHECKING:
    from collections.abc import Callable, Generator

    from kaireon_testkit.native.spawn import Command

_START_SECONDS = 60
_STOP_SECONDS = 20
# A file system in memory, and what a session may need of it.
_MEMORY = Path("/dev/shm")  # noqa: S108 - owner and mode are checked in `claim_folder`
_ROOM_BYTES = 4 * 2**30


class ServerDidNotStart(Exception):
    """A private server ended or did not answer in time."""


class Stack(msgspec.Struct, frozen=True, kw_only=True):
    """The servers' URLs: the owner's URL of an existing database, and of logical database 0."""

    postgres_url: str
    redis_url: str


@contextmanager
def native_stack(clone: Path, *, is_durable: bool = False) -> Generator[Stack]:
    """Start both servers with empty data beside anything else that runs in this clone; end and erase them after.

    Data that need not be durable lie in memory where there is room for them.
    `TEST_DATABASE_URL` (an owner that may create databases and roles) and `TEST_REDIS_URL` replace one or both, for
    containers or servers that somebody else started. With `is_durable` a commit waits for the disk. Raises
    `ServerDidNotStart`, `UnusableHome`.
    """
    database_url, redis_url = os.environ.get("TEST_DATABASE_URL"), os.environ.get("TEST_REDIS_URL")
    with ExitStack() as opened:
        if database_url is None or redis_url is None:
            home = opened.enter_context(session_home(clone, is_durable=is_durable))
            database_url = database_url or opened.enter_context(_running_postgres(home, is_durable=is_durable))
            redis_url = redis_url or opened.enter_context(_running_valkey(home))
        yield Stack(postgres_url=database_url, redis_url=redis_url)


@contextmanager
def session_home(clone: Path, *, is_durable: bool) -> Generator[Home]:
    """Yield the folder of this process's servers; whoever asks first erases it after."""
    home = find_home(clone, clone / "var")
    if is_durable or not _has_room(_MEMORY):
        sessions = home.folder / "test"
        sessions.mkdir(exist_ok=True, mode=0o711)
    else:
        # Every test copies a database, and each of its 700 files may cost a disk a millisecond.
        sessions = _MEMORY / outside_folder(clone).name
        claim_folder(sessions)
    _erase_leftovers(sessions)
    folder = sessions / str(os.getpid())
    is_first = not folder.exists()
    folder.mkdir(mode=0o711, exist_ok=True)
    try:
        yield msgspec.structs.replace(home, folder=folder)
    finally:
        if is_first:
            shutil.rmtree(folder, ignore_errors=True)


def _has_room(folder: Path) -> bool:
    return folder.is_dir() and os.access(folder, os.W_OK) and shutil.disk_usage(folder).free >= _ROOM_BYTES


def _erase_leftovers(sessions: Path) -> None:
    for folder in sessions.iterdir():
        if not psutil.pid_exists(int(folder.name)):
            shutil.rmtree(folder, ignore_errors=True)


@contextmanager
def _running_postgres(home: Home, *, is_durable: bool) -> Generator[str]:
    server = prepare_postgres(home, free_port(), is_durable=is_durable)
    with running(server.command(), server.is_answering, log=home.folder / "postgres.log"):
        server.create_database()
        yield server.url


@contextmanager
def _running_valkey(home: Home) -> Generator[str]:
    server = prepare_valkey(home, free_port())
    with running(server.command(), server.is_answering, log=home.folder / "valkey.log"):
        yield server.url


@contextmanager
def running(command: Command, is_answering: Callable[[], bool], *, log: Path) -> Generator[int]:
    """Run a server until the block ends; yield its pid once it answers. Call it from the main thread.

    Raises `ServerDidNotStart` with the end of its log.
    """
    process = command.start(log)
    try:
        deadline = time.monotonic() + _START_SECONDS
        while not is_answering():
            if process.poll() is not None or time.monotonic() > deadline:
                raise ServerDidNotStart(f"{command.argv[0]}: {log.read_text(errors='replace')[-2000:]}")
            time.sleep(0.02)
        yield process.pid
    finally:
        with suppress(ProcessLookupError):
            process.send_signal(command.stop_signal)
        try:
            process.wait(_STOP_SECONDS)
        except subprocess.TimeoutExpired:
            process.kill()
            process.wait()
