"""`docs/howto/deploy-hobby.md`, followed to the letter where it needs no Docker: every block marked `bash` is run."""

from __future__ import annotations

import json
import os
import re
import secrets
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import psycopg
import pytest
from psycopg import sql

from kaireon_testkit.native.clones import url_of_database
from kaireon_testkit.native.ports import free_port
from kaireon_testkit.native.stack import Stack

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/howto/deploy-hobby.md"
# After the page's own commands: what they have come to, and the end of what they have started.
THEN = """
curl -fsS -H "X-API-Key: $KEY" $URL/api/v1/tenant-settings > /etc/kaireon/settings.json
curl -fsS -o /dev/null -w '%{http_code}' $URL/api/v1/cron/cleanup -X POST > /etc/kaireon/refused.txt || true
for child in $(cat /proc/$!/task/*/children); do tr '\\0' ' ' < /proc/$child/cmdline; done
kill $!
wait $! || true
"""


@pytest.fixture
def empty_database_url(stack: Stack) -> Iterator[str]:
    """Make a database without any table."""
    name = sql.Identifier(found := f"howto_{secrets.token_hex(4)}")
    with psycopg.connect(stack.postgres_url, autocommit=True) as owner:
        owner.execute(sql.SQL("CREATE DATABASE {}").format(name))
        yield url_of_database(stack.postgres_url, found)
        owner.execute(sql.SQL("DROP DATABASE {} WITH (FORCE)").format(name))


def test_page_leads_from_an_empty_database_to_a_tenant_that_keeps_little(
    tmp_path: Path, empty_database_url: str, redis_url: str
) -> None:
    script = "\n".join(re.findall(r"```bash\n(.*?)```", PAGE.read_text(), re.DOTALL)) + THEN
    done = subprocess.run(
        ["/bin/bash", "-euc", script.replace("/etc/kaireon", str(tmp_path))],
        cwd=ROOT,
        env={
            "PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}",
            "DATABASE_URL": empty_database_url,
            "REDIS_URL": redis_url,
            "API_PORT": str(free_port()),
        },
        capture_output=True,
        text=True,
        timeout=180,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    wanted = json.loads((ROOT / "deploy/tiers/hobby/tenant-settings.json").read_text())
    kept = json.loads((tmp_path / "settings.json").read_text())
    assert {name: kept[name] for name in wanted} == wanted
    assert '"job":"cleanup"' in done.stdout
    assert (tmp_path / "refused.txt").read_text() == "401"
    assert "kaireon_worker beside" in done.stdout
    assert all(path.stat().st_mode & 0o077 == 0 for path in (tmp_path / "secrets.env", tmp_path / "cron.conf"))
