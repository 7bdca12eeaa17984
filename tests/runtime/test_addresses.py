"""URLs among the settings: what names no server is refused without its text."""

from __future__ import annotations

import pytest

from kaireon_runtime.addresses import require_broker, require_postgres

POSTGRES = [
    "postgresql://",
    "postgres://h",
    "postgresql://u:p%40w@h:5432/db?sslmode=require",
    "postgresql://u:p@w@h:5432/db",
    "postgresql://a:1,b:2,[::1]:3/db?target_session_attrs=primary",
    "postgresql:///db?host=/tmp",
    "postgresql://[fe80::1%25eth0]/db",
]
NO_POSTGRES = [
    ("mysql://u:secret@h", "must start with postgresql://"),
    ("postgresql://u:secret@h:port/db", "must name its host"),
    ("postgresql://u:secret@h:70000/db", "must name its host"),
    ("postgresql://u:secret@a,b:0/db", "must name its host"),
    ("postgresql://u:secret@[::1/db", "must name its host"),
    ("postgresql://u:secret/db", "must name its host"),
]


@pytest.mark.parametrize("url", POSTGRES)
def test_a_postgres_url_is_taken_as_it_is(url: str) -> None:
    assert require_postgres(url) == url


@pytest.mark.parametrize(("url", "told"), NO_POSTGRES)
def test_what_names_no_postgres_is_refused(url: str, told: str) -> None:
    with pytest.raises(ValueError, match=told) as caught:
        require_postgres(url)
    assert "secret" not in str(caught.value)


@pytest.mark.parametrize("url", ["redis+cluster://h", "rediss+cluster://h:1,i:2"])
def test_a_cluster_is_no_broker(url: str) -> None:
    with pytest.raises(ValueError, match="Cluster"):
        require_broker(url)
