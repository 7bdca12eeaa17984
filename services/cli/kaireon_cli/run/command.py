"""`kaireon run` and `kaireon reset`."""

from __future__ import annotations

import os
import shutil
import signal
import sys
from functools import partial

from kaireon_cli.clone import Clone, find_clone
from kaireon_cli.run.lock import AlreadyRunning, only_supervisor
from kaireon_cli.run.start import start_stack
from kaireon_cli.run.supervisor import run
from kaireon_cli.settings import RunSettings
from kaireon_runtime.settings import load
from kaireon_testkit.native.home import outside_folder
from kaireon_testkit.native.spawn import ask_for_signal_at_parents_end


def run_stack(*, until_parent_ends: bool) -> int:
    """Run the stack of this clone in the foreground; return the exit code."""
    if until_parent_ends:
        # make itself may be killed: its supervisor must not hold the clone for ever.
        ask_for_signal_at_parents_end(signal.SIGTERM)
    clone, settings = find_clone(), load(RunSettings)
    return run(clone, settings, partial(start_stack, clone, settings, os.environ))


def reset_stack() -> int:
    """Erase everything that running this clone has made; return the exit code."""
    clone = find_clone()
    try:
        with only_supervisor(clone.lock_file):
            _erase(clone)
    except AlreadyRunning as error:
        sys.stderr.write(f"kaireon: {error}\n")
        return 1
    return 0


def _erase(clone: Clone) -> None:
    outside = outside_folder(clone.root)
    for folder in (outside, clone.var):
        if folder.is_symlink() or not folder.exists():
            continue
        shutil.rmtree(folder)
        print(f"erased {folder}")
