"""Processes that are measured: started with the environment that they are given, until the block ends."""

from __future__ import annotations

import subprocess
import time
from collections.abc import Callable, Generator
from contextlib import contextmanager
from pathlib import Path

import httpx
import psutil

_DEADLINE_SECONDS = 300


@contextmanager
def process(python: Path | str, module: str, environment: dict[str, str]) -> Generator[psutil.Process]:
    """Run a module."""
    with subprocess.Popen([python, "-m", module], env=environment, stdout=subprocess.DEVNULL) as started:
        try:
            yield psutil.Process(started.pid)
        finally:
            started.terminate()


@contextmanager
def serving(python: Path | str, module: str, environment: dict[str, str], url: str) -> Generator[psutil.Process]:
    """Run a module; go on once this URL answers well."""
    with process(python, module, environment) as started:
        until(lambda: httpx.get(url, timeout=2).is_success, f"{module} did not start")
        yield started


def until(is_so: Callable[[], bool], complaint: str) -> None:
    """Wait until something is so, for minutes at most. Raises `TimeoutError` with the complaint."""
    deadline = time.monotonic() + _DEADLINE_SECONDS
    while True:
        try:
            if is_so():
                return
        except httpx.HTTPError:
            pass
        if time.monotonic() > deadline:
            raise TimeoutError(complaint)
        time.sleep(0.1)
