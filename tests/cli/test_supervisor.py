"""The supervisor with small real processes: restarts, signals, kills, locks, ports."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from contextlib import suppress
from pathlib import Path

import psutil
import pytest

from kaireon_cli.run_file import RunFile, read_run_file
from kaireon_testkit.native.ports import free_port

_PROGRAM = Path(__file__).with_name("stand_in_stack.py")
_SERVICES = {"api", "worker", "mlWorker", "outboxPublisher", "cron"}
_DEADLINE_SECONDS = 90


class Run:
    """A supervisor in a folder that plays the clone."""

    def __init__(self, clone: Path, *flags: str, **environment: str) -> None:
        self.clone = clone
        ports = {"API_PORT": str(free_port()), "ML_WORKER_PORT": str(free_port())}
        self.process = subprocess.Popen(
            [sys.executable, str(_PROGRAM), str(clone), *flags],
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            env={**os.environ, **ports, **environment},
        )

    @property
    def path(self) -> Path:
        """Where kaireon.json is written."""
        return self.clone / "var" / "run" / "kaireon.json"

    def described(self, until: Callable[[RunFile], bool] = lambda _: True) -> RunFile:
        """Return kaireon.json once it says what is waited for."""
        found: list[RunFile] = []

        def is_there() -> bool:
            found[:] = [content for content in [read_run_file(self.path)] if content is not None]
            return bool(found) and until(found[0])

        wait_for(is_there)
        return found[0]

    def tree(self) -> list[psutil.Process]:
        """Return every process below the supervisor."""
        return psutil.Process(self.process.pid).children(recursive=True)

    def finish(self) -> tuple[int, str, str]:
        """Wait for the end; return exit code, stdout and stderr."""
        output, errors = self.process.communicate(timeout=_DEADLINE_SECONDS)
        return self.process.returncode, output, errors


def wait_for(is_true: Callable[[], bool]) -> None:
    """Poll until it is true, or fail."""
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while not is_true():
        assert time.monotonic() < deadline, "it did not come about in time"
        time.sleep(0.02)


def is_over(process: psutil.Process) -> bool:
    """Return whether a process has ended; one that its parent has not looked at yet has."""
    try:
        return not process.is_running() or process.status() == psutil.STATUS_ZOMBIE
    except psutil.NoSuchProcess:
        return True


@pytest.fixture
def clone(tmp_path: Path) -> Path:
    """A folder that plays the clone; the private servers' account can reach it."""
    for folder in (tmp_path, *tmp_path.parents[:3]):
        folder.chmod(folder.stat().st_mode | 0o011)
    return tmp_path


@pytest.fixture
def start(clone: Path) -> Iterator[Callable[..., Run]]:
    """Start supervisors; none is left after the test, nor what it started."""
    runs: list[Run] = []

    def begin(*flags: str, **environment: str) -> Run:
        runs.append(Run(clone, *flags, **environment))
        return runs[-1]

    yield begin
    for run in runs:
        with suppress(psutil.NoSuchProcess):
            left = run.tree()
            run.process.kill()
            psutil.wait_procs(left, timeout=_DEADLINE_SECONDS)
        run.process.wait()
        for stream in (run.process.stdout, run.process.stderr):
            assert stream is not None
            stream.close()


def test_the_file_describes_the_serving_processes_and_is_private(start: Callable[..., Run]) -> None:
    run = start()
    described = run.described()
    assert described.pid == run.process.pid
    assert set(described.services) == _SERVICES
    assert run.path.stat().st_mode & 0o777 == 0o600
    for service, running in described.services.items():
        assert (run.clone / f"{service}.{running.pid}").is_file()
        assert psutil.Process(running.pid).ppid() == run.process.pid
        assert running.restarts == 0
    assert described.services["api"].url == described.api_url


def test_a_killed_tier_is_started_again_and_its_children_are_gone(start: Callable[..., Run]) -> None:
    run = start()
    before = run.described().services["worker"].pid
    child = psutil.Process(int((run.clone / f"worker.{before}").read_text()))
    os.kill(before, signal.SIGKILL)
    after = run.described(lambda content: content.services["worker"].restarts == 1).services["worker"].pid
    assert after != before
    wait_for(lambda: (run.clone / f"worker.{after}").is_file() and is_over(child))


@pytest.mark.parametrize("number", [signal.SIGTERM, signal.SIGINT])
def test_a_signal_ends_everything_and_the_next_start_is_free(start: Callable[..., Run], number: signal.Signals) -> None:
    run = start()
    run.described()
    tree = run.tree()
    run.process.send_signal(number)
    code, output, errors = run.finish()
    assert (code, errors) == (0, "")
    assert "api              | api ends" in output
    assert all(is_over(process) for process in tree)
    assert not run.path.exists()
    start().described()


@pytest.mark.parametrize("flags", [(), ("--servers",)], ids=["tiers", "tiers and servers"])
def test_nothing_outlives_a_killed_supervisor(start: Callable[..., Run], flags: tuple[str, ...]) -> None:
    run = start(*flags)
    run.described()
    tree = run.tree()
    assert len(tree) >= 2 * len(_SERVICES)
    run.process.kill()
    wait_for(lambda: all(is_over(process) for process in tree))
    again = start(*flags)
    again.described(lambda content: content.pid == again.process.pid)


def test_the_private_servers_come_back_on_their_ports(start: Callable[..., Run]) -> None:
    run = start("--servers")
    before = run.described()
    assert set(before.services) == _SERVICES | {"postgres", "redis"}
    for service in ("postgres", "redis"):
        os.kill(before.services[service].pid, signal.SIGKILL)
    run.described(lambda content: all(content.services[name].restarts > 0 for name in ("postgres", "redis")))


def test_a_second_supervisor_says_one_line_and_leaves_the_first_alone(start: Callable[..., Run]) -> None:
    run = start()
    before = run.described()
    code, output, errors = start().finish()
    assert (code, output) == (1, "")
    assert errors.count("\n") == 1
    assert str(run.process.pid) in errors
    assert run.described() == before


@pytest.mark.parametrize("variable", ["API_PORT", "ML_WORKER_PORT"])
def test_a_taken_port_is_one_line_and_nothing_is_started(start: Callable[..., Run], variable: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        run = start(**{variable: port})
        code, output, errors = run.finish()
    assert (code, output) == (1, "")
    assert errors.count("\n") == 1
    assert variable in errors
    assert port in errors
    assert not list(run.clone.glob("api.*"))


def test_a_start_that_fails_says_why_and_leaves_nothing(start: Callable[..., Run]) -> None:
    run = start("--failing")
    code, _, errors = run.finish()
    assert (code, errors) == (1, "kaireon: nothing will come of this\n")
    assert not run.path.exists()


def test_a_reader_that_goes_away_does_not_stop_the_stack(start: Callable[..., Run]) -> None:
    run = start()
    before = run.described()
    assert run.process.stdout is not None
    run.process.stdout.close()
    os.kill(before.services["cron"].pid, signal.SIGKILL)
    run.described(lambda content: content.services["cron"].restarts == 1)
