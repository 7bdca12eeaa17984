"""What a Redis URL names."""

from __future__ import annotations

from typing import Any

import pytest

from kaireon_runtime.redis_address import Topology, parse_redis_url

SENTINEL, CLUSTER = Topology.SENTINEL, Topology.CLUSTER
URLS: list[tuple[str, Topology, tuple[tuple[str, int], ...], str, dict[str, Any]]] = [
    ("redis://:pw@h:1/2", Topology.STANDALONE, (), "", {}),
    ("rediss://h", Topology.STANDALONE, (), "", {}),
    ("redis+sentinel://a,b:2/main", SENTINEL, (("a", 26379), ("b", 2)), "main", {"db": 0}),
    (
        "redis+sentinel://u:p%40w@a:1,b:2/main/3",
        SENTINEL,
        (("a", 1), ("b", 2)),
        "main",
        {"db": 3, "username": "u", "password": "p@w"},
    ),
    (
        "sentinel://:pw@a:1;sentinel://:pw@b:2/3?master_name=m",
        SENTINEL,
        (("a", 1), ("b", 2)),
        "m",
        {"db": 3, "password": "pw"},
    ),
    (
        "rediss+sentinel://[::1]:5/m?ssl_ca_certs=/ca",
        SENTINEL,
        (("::1", 5),),
        "m",
        {"db": 0, "ssl": True, "ssl_ca_certs": "/ca"},
    ),
    ("redis+cluster://:pw@a:1,b", CLUSTER, (("a", 1), ("b", 6379)), "", {"password": "pw"}),
    ("rediss+cluster://a/0", CLUSTER, (("a", 6379),), "", {"ssl": True}),
]


@pytest.mark.parametrize(("url", "topology", "hosts", "master", "options"), URLS)
def test_url_names_an_address(
    url: str, topology: Topology, hosts: tuple[tuple[str, int], ...], master: str, options: dict[str, Any]
) -> None:
    address = parse_redis_url(url)
    assert (address.topology, address.hosts, address.master, address.options) == (topology, hosts, master, options)


@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://:secret@h", "must start with"),
        ("redis+sentinel://:secret@a:1", "master_name"),
        ("redis+sentinel://:secret@a:1/main/two", "number"),
        ("redis+cluster://:secret@a:1/3", "database 0"),
        ("redis+cluster://", "no host"),
        ("redis+cluster://:secret@a:many", "port"),
        ("redis://:secret", "port"),
        ("redis://:secret@h:70000", "port"),
        ("redis://:secret@h:1/two", "number"),
        ("redis+sentinel://:secret@[::1/m", "IPv6"),
    ],
)
def test_url_that_names_none_is_refused_without_its_password(url: str, message: str) -> None:
    with pytest.raises(ValueError, match=message) as caught:
        parse_redis_url(url)
    assert "secret" not in str(caught.value)
