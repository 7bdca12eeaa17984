"""A supervised stack of sleepers, for the tests of the supervisor: `python stand_in_stack.py CLONE [--servers]`.

Everything but the tiers is real: the supervisor, its guard, its lock and file, and with --servers the private servers.
"""

from __future__ import annotations

import asyncio
import os
import sys
import time
from pathlib import Path
from uuid import UUID

from kaireon_cli.clone import Clone
from kaireon_cli.run.demo_tenant import DemoTenant
from kaireon_cli.run.fleet import Fleet
from kaireon_cli.run.private_servers import private_postgres, private_valkey, wait_until_answering
from kaireon_cli.run.screen import Screen
from kaireon_cli.run.start import Started, StartFailed
from kaireon_cli.run.supervisor import run
from kaireon_cli.run.tiers import API, TIERS, api_address
from kaireon_cli.settings import RunSettings
from kaireon_testkit.native.spawn import Command

# A tier with a child of its own that heeds no signal; both write their pids into the folder of the clone.
_SLEEPER = """
import os, pathlib, signal, subprocess, sys, time
signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGTERM})
folder, name = pathlib.Path(sys.argv[1]), sys.argv[2]
deaf = "import signal,time; signal.signal(signal.SIGTERM, signal.SIG_IGN); print(1, flush=True); time.sleep(600)"
child = subprocess.Popen([sys.executable, "-I", "-S", "-c", deaf], stdout=subprocess.PIPE)
child.stdout.readline()
(folder / f"{name}.{os.getpid()}").write_text(str(child.pid))
print(f"{name} serves", flush=True)
signal.sigwait({signal.SIGTERM})
print(f"{name} ends", flush=True)
"""


async def start(clone: Clone, fleet: Fleet, screen: Screen) -> Started:
    """Start the sleepers and wait until all of them serve."""
    for marker in clone.root.glob("*.*"):
        marker.unlink()
    screen.step("starting the sleepers")
    if "--servers" in sys.argv:
        _, valkey = private_valkey(clone)
        for server in (private_postgres(clone).supervised(), valkey):
            await fleet.start(server.service, server.name, server.command, force_signal=server.force_signal)
            await wait_until_answering(server, seconds=60)
    for tier in TIERS:
        argv = (sys.executable, "-I", "-S", "-c", _SLEEPER, str(clone.root), tier.service)
        url = api_address(RunSettings()) if tier is API else None
        await fleet.start(tier.service, tier.name, Command(argv=argv, environment=os.environ), url=url)
    await asyncio.to_thread(_wait_until_all_serve, clone)
    if "--failing" in sys.argv:
        raise StartFailed("nothing will come of this")
    tenant = DemoTenant(tenant_id=UUID(int=7), api_keys={"admin": "krn_made_up"})
    return Started(tenant=tenant, owner_url="postgresql://", redis_url="redis://", curl="curl http://127.0.0.1")


def _wait_until_all_serve(clone: Clone) -> None:
    while {path.stem for path in clone.root.glob("*.*")} != {tier.service for tier in TIERS}:
        time.sleep(0.02)


if __name__ == "__main__":
    here = Clone(root=Path(sys.argv[1]))
    sys.exit(run(here, RunSettings(), lambda fleet, screen: start(here, fleet, screen)))
