"""The private servers as they are found after whatever happened to the last run."""

from __future__ import annotations

import os
import subprocess
from collections.abc import Iterator
from pathlib import Path

import msgspec
import psutil
import psycopg
import pytest

from kaireon_cli.run.private_servers import PrivatePostgres
from kaireon_storage.migrate import migrate
from kaireon_testkit.native.home import Home, UnusableHome, find_home, outside_folder
from kaireon_testkit.native.ports import free_port
from kaireon_testkit.native.postgres import PostgresServer, prepare_postgres
from kaireon_testkit.native.secret_file import read_or_create_secret
from kaireon_testkit.native.stack import running


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Home:
    """A home of its own."""
    folder = tmp_path_factory.mktemp("clone")
    for reached in (folder, folder.parent, folder.parent.parent):
        reached.chmod(reached.stat().st_mode | 0o011)
    return find_home(folder, folder / "var")


@pytest.fixture
def postgres(home: Home) -> Iterator[PostgresServer]:
    """A running Postgres with the product's database, the same data in every test."""
    server = prepare_postgres(home, free_port(), is_durable=False)
    with running(server.command(), server.is_answering, log=home.folder / "log"):
        server.create_database()
        yield server


def test_the_tiers_login_has_no_right_of_its_own_and_sees_one_tenant(postgres: PostgresServer) -> None:
    migrate(postgres.url)
    private = PrivatePostgres(server=postgres, login_password="of the tiers")
    private.create_login()
    private.create_login()
    with psycopg.connect(postgres.url, autocommit=True) as owner:
        owner.execute("INSERT INTO tenants (tenant_id, key, name) VALUES (gen_random_uuid(), 'a', 'A')")
    with psycopg.connect(private.tier_url, autocommit=True) as tier:
        with pytest.raises(psycopg.errors.InsufficientPrivilege):
            tier.execute("SELECT * FROM tenants")
        with tier.transaction():
            tier.execute("SET LOCAL ROLE kaireon_app")
            assert tier.execute("SELECT * FROM tenants").fetchall() == []
        with tier.transaction():
            tier.execute("SET LOCAL ROLE kaireon_system")
            assert len(tier.execute("SELECT * FROM tenants").fetchall()) == 1


def test_a_pid_file_that_names_another_process_does_not_block(home: Home, postgres: PostgresServer) -> None:
    pid_file = home.folder / "postgres" / "data" / "postmaster.pid"
    described = pid_file.read_text().split("\n", 1)[1]
    psutil.Process(int(pid_file.read_text().split("\n", 1)[0])).kill()
    account = home.account
    with subprocess.Popen(["/bin/sleep", "600"], user=None if account is None else account.uid) as other:
        pid_file.write_text(f"{other.pid}\n{described}")
        again = prepare_postgres(home, free_port(), is_durable=False)
        with running(again.command(), again.is_answering, log=home.folder / "log"):
            assert again.password == postgres.password
        other.kill()


def test_a_server_that_was_left_behind_is_ended_first(home: Home, postgres: PostgresServer) -> None:
    left = psutil.Process(int((home.folder / "postgres" / "data" / "postmaster.pid").read_text().split("\n", 1)[0]))
    prepare_postgres(home, free_port(), is_durable=False)
    assert not left.is_running() or left.status() == psutil.STATUS_ZOMBIE
    assert not postgres.is_answering()


def test_a_cluster_that_was_never_finished_is_made_anew(home: Home) -> None:
    fresh = msgspec.structs.replace(home, folder=home.folder / "fresh")
    fresh.folder.mkdir()
    half = fresh.folder / "postgres" / "data.new"
    half.mkdir(parents=True)
    (half / "PG_VERSION").write_text("18\n")
    server = prepare_postgres(fresh, free_port(), is_durable=False)
    with running(server.command(), server.is_answering, log=fresh.folder / "log"):
        server.create_database()


def test_a_folder_of_somebody_else_is_not_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    # Only root uses a folder outside of the clone; another account may have made it first.
    monkeypatch.setattr(os, "geteuid", lambda: 0)
    (tmp_path / "var").mkdir()
    (tmp_path / "var" / "postgres").write_text("elsewhere\n")
    outside_folder(tmp_path).symlink_to(tmp_path)
    try:
        with pytest.raises(UnusableHome):
            find_home(tmp_path, tmp_path / "var")
    finally:
        outside_folder(tmp_path).unlink()


def test_a_secret_is_made_once_and_private(tmp_path: Path) -> None:
    (tmp_path / "secret.new").write_text("half of a")
    first = read_or_create_secret(tmp_path / "secret")
    assert len(first) >= 32
    assert read_or_create_secret(tmp_path / "secret") == first
    assert (tmp_path / "secret").stat().st_mode & 0o777 == 0o600
