"""One migrated database, copied for every test."""

from __future__ import annotations

import secrets
from contextlib import contextmanager
from typing import TYPE_CHECKING
from urllib.parse import urlsplit, urlunsplit

import psycopg
from psycopg import sql

from kaireon_storage.migrate import migrate

if TYPE_CHECKING:
    from collections.abc import Generator


@contextmanager
def migrated_template(postgres_url: str) -> Generator[str]:
    """Create a database with the current schema; yield its URL, drop it after."""
    name = f"template_{secrets.token_hex(4)}"
    _administer(postgres_url, sql.SQL("CREATE DATABASE {}").format(sql.Identifier(name)))
    try:
        url = url_of_database(postgres_url, name)
        migrate(url)
        yield url
    finally:
        _drop(postgres_url, name)


@contextmanager
def cloned_database(template_url: str) -> Generator[str]:
    """Create a copy of the template, which nobody may be connected to; yield its URL, drop it after."""
    name = f"test_{secrets.token_hex(8)}"
    template = urlsplit(template_url).path.lstrip("/")
    admin_url = url_of_database(template_url, "postgres")
    copy = sql.SQL("CREATE DATABASE {} TEMPLATE {} STRATEGY file_copy")
    _administer(admin_url, copy.format(sql.Identifier(name), sql.Identifier(template)))
    # Rights on the database itself are not copied; this is the one that the first migration grants.
    _administer(admin_url, sql.SQL("GRANT CREATE ON DATABASE {} TO kaireon_system").format(sql.Identifier(name)))
    try:
        yield url_of_database(template_url, name)
    finally:
        _drop(admin_url, name)


def url_of_database(url: str, database: str) -> str:
    """Return the same URL with another database in it."""
    return urlunsplit(urlsplit(url)._replace(path=f"/{database}"))


def _drop(url: str, name: str) -> None:
    _administer(url, sql.SQL("DROP DATABASE IF EXISTS {} WITH (FORCE)").format(sql.Identifier(name)))


def _administer(url: str, statement: sql.Composed) -> None:
    with psycopg.connect(url, autocommit=True) as connection:
        connection.execute(statement)
