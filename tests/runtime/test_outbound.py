"""Where a process may connect to: every spelling of an address is read as resolvers read it."""

from __future__ import annotations

import ipaddress
import socket

import pytest
from hypothesis import given
from hypothesis import strategies as st

from kaireon_runtime.outbound import AllowList, InvalidUrl, address_of, is_public, target_of

_FORMS = st.sampled_from(["0x{:x}", "0{:o}", "{:d}", "0X{:X}"])
_PARTS = st.tuples(_FORMS, st.one_of(st.integers(0, 300), st.integers(0, 2**33))).map(lambda one: one[0].format(one[1]))


@given(st.lists(_PARTS, min_size=1, max_size=5).map(".".join))
def test_odd_spellings_are_read_as_the_system_reads_them(host: str) -> None:
    try:
        expected = ".".join(map(str, socket.inet_aton(host)))
    except OSError:
        expected = str(None)
    assert str(address_of(host)) == expected


@given(st.ip_addresses(v=4))
def test_an_address_inside_another_is_as_public_as_alone(address: ipaddress.IPv4Address) -> None:
    mapped = ipaddress.IPv6Address(f"::ffff:{address}")
    translated = ipaddress.IPv6Address(int(ipaddress.IPv6Address("64:ff9b::")) + int(address))
    assert is_public(mapped) == is_public(translated) == is_public(address)


_PRIVATE = "127.0.0.1 10.1.2.3 172.16.0.1 192.168.1.1 169.254.169.254 100.64.0.1 0.0.0.0 224.0.0.1 255.255.255.255"
_PRIVATE_6 = "::1 :: fe80::1 fc00::1 fec0::1 ff02::1 2002:7f00:1:: ::ffff:10.0.0.1"


@pytest.mark.parametrize("address", [*_PRIVATE.split(), *_PRIVATE_6.split()])
def test_what_is_not_on_the_internet_is_not_public(address: str) -> None:
    assert not is_public(ipaddress.ip_address(address))


@pytest.mark.parametrize("address", ["1.1.1.1", "8.8.8.8", "2606:4700::1111", "::ffff:8.8.8.8"])
def test_what_is_on_the_internet_is_public(address: str) -> None:
    assert is_public(ipaddress.ip_address(address))


_UNSOUND = (
    "ml //ml/ ftp://ml/ http:// http://u@ml/ http://u:p@ml/ http://ml:0/ http://ml:65536/ http://[::1 http://a..b/"
)
_UNREADABLE = ("", "http://ml :80/", "http://ml\n/", "http://a\\@b/", "http://\uff11.2.3.4/")


@pytest.mark.parametrize("url", [*_UNSOUND.split(), *_UNREADABLE])
def test_what_cannot_be_called_is_refused(url: str) -> None:
    with pytest.raises(InvalidUrl):
        target_of(url)


def test_a_listed_host_may_be_called_on_its_port() -> None:
    allowed = AllowList.parse(" 127.0.0.1:8080, LOCALHOST, [::1], [fd00::1]:443,")
    urls = {
        "http://127.0.0.1:8080/": True,
        "http://2130706433:8080/": True,
        "http://127.0.0.1/": False,
        "http://[::1]:9/": True,
        "https://[fd00::1]/": True,
        "http://[fd00::1]/": False,
        "http://10.0.0.1/": False,
    }
    assert {url: allowed.problem(url) is None for url in urls} == urls
    assert allowed.has(target_of("http://LocalHost.:1/"))


@pytest.mark.parametrize("text", ["a b", "[::1", "::1", "ml:0", "ml:x", "ml:65536", "http://ml", "[::1]9", "a,b:"])
def test_a_list_that_cannot_be_read_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="neither host nor host:port"):
        AllowList.parse(text)
