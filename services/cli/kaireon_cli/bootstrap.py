"""Make `.venv` what uv.lock says, with nothing but Python and a package index: `python3 bootstrap.py run|all`.

Runs before anything is installed, so: the standard library only, and Python 3.8 is enough to say what is missing.
`run` installs what running needs, `all` the development tools too.
"""

from __future__ import annotations

import ast
import hashlib
import os
import re
import signal
import subprocess
import sys
from collections.abc import Mapping
from pathlib import Path

CLONE = Path(__file__).resolve().parents[3]
LOCK = CLONE / "uv.lock"
VENV = CLONE / ".venv"
PYTHON = VENV / "bin" / "python"
UV = VENV / "bin" / "uv"
UV_REQUIREMENT = "uv>=0.13.8,<0.14"
LEAST_PYTHON = (3, 11)

# pip's setting -> uv's. A list of pip's is written with blanks or line ends.
FOR_UV = {
    "index-url": "UV_DEFAULT_INDEX",
    "extra-index-url": "UV_INDEX",
    "find-links": "UV_FIND_LINKS",
    "trusted-host": "UV_INSECURE_HOST",
    "no-index": "UV_NO_INDEX",
    "cert": "SSL_CERT_FILE",
    "proxy": "ALL_PROXY",
    "timeout": "UV_HTTP_TIMEOUT",
    "default-timeout": "UV_HTTP_TIMEOUT",
}
COMMA_SEPARATED = {"UV_FIND_LINKS"}


class BootstrapFailed(Exception):
    """Something that this script cannot make good; the message says what to do."""


def main(arguments: list[str]) -> int:
    """Set up; return the exit code."""
    if sys.version_info < LEAST_PYTHON:
        print(f"kaireon needs Python 3.11 or later; {sys.executable} is {sys.version.split()[0]} (set PYTHON=...)")
        return 1
    # As an exception, so that the program that is running for us ends with us.
    signal.signal(signal.SIGTERM, end)
    extent = arguments[0] if arguments else "all"
    try:
        set_up(extent)
    except BootstrapFailed as error:
        print(f"kaireon: {error}", file=sys.stderr)
        return 1
    except subprocess.CalledProcessError as error:
        print(f"kaireon: {Path(str(error.cmd[0])).name} failed (exit code {error.returncode})", file=sys.stderr)
        return 1
    return 0


def end(*_: object) -> None:
    """End this program, by way of whatever waits for another one."""
    sys.exit(1)


def set_up(extent: str) -> None:
    """Bring `.venv` to the lock file's state unless a stamp says that it is."""
    wanted = fingerprint()
    stamps = [VENV / f".kaireon-{name}" for name in dict.fromkeys((extent, "all"))]
    if PYTHON.exists() and any(stamp.is_file() and stamp.read_text() == wanted for stamp in stamps):
        return
    make_venv()
    settings = pip_settings()
    if not UV.exists():
        say(f"installing {UV_REQUIREMENT} into .venv")
        run([str(PYTHON), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", UV_REQUIREMENT])
    say("installing the locked packages into .venv")
    install(extent, {**os.environ, **uv_environment(settings, os.environ)}, settings)
    stamps[0].write_text(wanted)


def make_venv() -> None:
    """Create `.venv` with pip where it is missing, or where its Python is gone."""
    if PYTHON.exists() and (UV.exists() or has_pip()):
        return
    say("creating .venv")
    # Not --clear: a process of this clone may be running from it.
    completed = subprocess.run([sys.executable, "-m", "venv", str(VENV)], check=False, capture_output=True, text=True)
    if completed.returncode != 0:
        reason = (completed.stdout + completed.stderr).strip()
        raise BootstrapFailed(f"{sys.executable} cannot create .venv (on Debian: apt install python3-venv): {reason}")


def has_pip() -> bool:
    """Return whether the environment has a pip of its own."""
    return subprocess.run([str(PYTHON), "-c", "import pip"], check=False, capture_output=True).returncode == 0


def install(extent: str, environment: dict[str, str], settings: dict[str, str]) -> None:
    """Install exactly what uv.lock says, by version and hash."""
    # Inexact: running must not take away what testing has installed, and the other way round.
    which = ["--no-dev", "--inexact"] if extent == "run" else ["--all-groups", "--inexact"]
    temporary = VENV / "tmp"
    temporary.mkdir(exist_ok=True)
    environment |= {
        # uv leaves a lock file in the temporary folder.
        "TMPDIR": str(temporary),
        "UV_PROJECT_ENVIRONMENT": str(VENV),
        "UV_PYTHON": str(PYTHON),
        "UV_PYTHON_DOWNLOADS": "never",
        "UV_NO_PROGRESS": "" if sys.stderr.isatty() else "1",
    }
    environment.pop("VIRTUAL_ENV", None)
    if is_locked_index(settings, LOCK.read_text(encoding="utf-8")):
        run([str(UV), "sync", "--locked", *which], environment)
    else:
        install_from_other_index(which, environment)


def install_from_other_index(which: list[str], environment: dict[str, str]) -> None:
    """Install the locked versions, checked by their locked hashes, from an index that the lock does not name.

    A lock names the files of the index that it was made with, and uv refuses it with another one.
    """
    plain = {name: value for name, value in environment.items() if name not in FOR_UV.values() or "CERT" in name}
    groups = [flag for flag in which if flag != "--inexact"]
    requirements = VENV / "locked-requirements.txt"
    export = ["export", "--frozen", "--quiet", "--no-emit-workspace", *groups]
    run([str(UV), *export, "--output-file", str(requirements)], plain)
    run([str(UV), "pip", "install", "--require-hashes", "--requirement", str(requirements)], environment)
    editable = [part for member in members() for part in ("--editable", str(member.parent))]
    run([str(UV), "pip", "install", "--no-deps", *editable], environment)


def is_locked_index(settings: dict[str, str], lock: str) -> bool:
    """Return whether packages come from the index that uv.lock (its text) was made with."""
    index = locked_index(lock)
    return settings.get("index-url", index).rstrip("/") == index and "no-index" not in settings


def locked_index(lock: str) -> str:
    """Return the index that a lock file names."""
    found = re.search(r'registry = "([^"]+)"', lock)
    return found[1].rstrip("/") if found else ""


def pip_settings() -> dict[str, str]:
    """Return pip's settings, from its files and its environment variables; the environment wins, as in pip."""
    command = [str(PYTHON), "-m", "pip", "--disable-pip-version-check", "config", "list"]
    listed = subprocess.run(command, check=False, capture_output=True, text=True).stdout if has_pip() else ""
    # What comes later wins: files by their weight, then the environment.
    order = {"global": 0, "install": 1, ":env:": 2}
    found: list[tuple[int, str, str]] = []
    for line in listed.splitlines():
        name, separator, value = line.partition("=")
        section, _, setting = name.rpartition(".")
        if separator and section in order:
            found.append((order[section], setting, str(ast.literal_eval(value))))
    return {setting: value for _, setting, value in sorted(found) if value}


def uv_environment(settings: dict[str, str], given: Mapping[str, str]) -> dict[str, str]:
    """Return the same settings for uv; what uv has been told itself stays."""
    told: dict[str, str] = {}
    for setting, value in settings.items():
        name = FOR_UV.get(setting)
        if name is not None and name not in given:
            told[name] = ",".join(value.split()) if name in COMMA_SEPARATED else " ".join(value.split())
    return told


def members() -> list[Path]:
    """Return the project file of every package of the workspace."""
    return sorted(path for folder in ("libs", "services") for path in (CLONE / folder).glob("*/pyproject.toml"))


def fingerprint() -> str:
    """Return what the environment is made from: the lock, every project file, and the Python."""
    files = [LOCK, CLONE / "pyproject.toml", *members()]
    digest = hashlib.sha256()
    for path in files:
        digest.update(path.read_bytes())
    # The environment holds the clone's own path: a copy of it is not one.
    return f"{digest.hexdigest()} {CLONE}\n"


def run(command: list[str], environment: dict[str, str] | None = None) -> None:
    """Run a program of our own. Raises `CalledProcessError`."""
    subprocess.run(command, check=True, cwd=CLONE, env=environment)


def say(text: str) -> None:
    """Show progress."""
    print(f"kaireon          | {text}", flush=True)


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
