"""Where this process may connect to when somebody else names the address: the public internet, and what is listed."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterable
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv6Address
from typing import TypeAlias
from urllib.parse import SplitResult, urlsplit

from kaireon_runtime.listed import listed

Address: TypeAlias = IPv4Address | IPv6Address

_DEFAULT_PORTS = {"http": 80, "https": 443}
_MAX_PORT = 65_535
# IPv6 addresses that carry one of IPv4 in their last 32 bits.
_NAT64 = ipaddress.IPv6Network("64:ff9b::/96")
_LONGEST_HOST = 253
_LONGEST_LABEL = 63
_IPV4_BYTES, _BYTE = 4, 255
_NUMBER = re.compile(r"0[xX][0-9a-fA-F]{1,16}|0[0-7]{0,20}|[1-9][0-9]{0,15}")


class InvalidUrl(ValueError):
    """This is no URL that may be called; the message says what to change."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Target:
    """Who a URL leads to; `host` in lower case without a final dot, an address in its usual form."""

    host: str
    port: int

    @property
    def address(self) -> Address | None:
        """The address when the host is one, however it was spelled."""
        return address_of(self.host)


@dataclass(frozen=True, slots=True)
class AllowList:
    """The hosts that may be called though they are not public: (host, port), None for every port."""

    entries: frozenset[tuple[str, int | None]] = frozenset()

    @staticmethod
    def parse(text: str) -> AllowList:
        """Return the list written as `host` or `host:port`, comma-separated, IPv6 in brackets. Raises `ValueError`."""
        return AllowList(frozenset(map(_entry, listed(text))))

    def has(self, target: Target) -> bool:
        """Return whether a target is listed."""
        return (target.host, target.port) in self.entries or (target.host, None) in self.entries

    def permits(self, target: Target, address: Address) -> bool:
        """Return whether a connection to this address may be made for this target."""
        return is_public(address) or self.has(target)

    def problem(self, url: str) -> str | None:
        """Return what is wrong with a URL as it is written; what a name resolves to shows when it is called."""
        try:
            target = target_of(url)
        except InvalidUrl as error:
            return str(error)
        address = target.address
        if address is not None and not self.permits(target, address):
            return f"{target.host} is not a public address; the operator may list it in EXTERNAL_ENDPOINT_ALLOWLIST"
        return None


class Anywhere(AllowList):
    """For who only compares: whether an address may be called was asked when it was written."""

    def permits(self, target: Target, address: Address) -> bool:  # noqa: ARG002 - whatever they are
        """Return that it may."""
        return True


def target_of(url: str) -> Target:
    """Return who an http or https URL leads to. Raises `InvalidUrl`."""
    if not url.isascii() or not url.isprintable() or " " in url or "\\" in url:
        message = "must be a URL of visible ASCII characters"
        raise InvalidUrl(message)
    try:
        parts = urlsplit(url)
        port = parts.port
    except ValueError:
        message = "must be a URL with a valid host and port"
        raise InvalidUrl(message) from None
    _require_plain(parts)
    return Target(host=usual_host(parts.hostname or ""), port=port or _DEFAULT_PORTS[parts.scheme])


def _require_plain(parts: SplitResult) -> None:
    if parts.scheme not in _DEFAULT_PORTS:
        message = "must begin with https:// or http://"
        raise InvalidUrl(message)
    if "@" in parts.netloc:
        message = "must not carry a user or password; use auth"
        raise InvalidUrl(message)
    if not parts.hostname or parts.port == 0:
        message = "must name a host, and a port from 1 to 65535 or none"
        raise InvalidUrl(message)


def usual_host(written: str) -> str:
    """Return a host in its usual form. Raises `InvalidUrl`."""
    host = written.lower().removesuffix(".")
    address = address_of(host)
    if address is not None:
        return str(address)
    if len(host) > _LONGEST_HOST or not all(map(_is_label, host.split("."))):
        message = "must name a host by a name or an address"
        raise InvalidUrl(message)
    return host


def _is_label(label: str) -> bool:
    return len(label) <= _LONGEST_LABEL and label.replace("-", "").replace("_", "").isalnum()


def address_of(host: str) -> Address | None:
    """Return the address that a host is, in any spelling that a resolver takes for one; None for a name."""
    try:
        return ipaddress.ip_address(host)
    except ValueError:
        pass
    return _unusual_address(host.split("."))


def _unusual_address(parts: list[str]) -> IPv4Address | None:
    """Return the address of decimal, octal, hexadecimal and shortened forms: 2130706433, 0x7f.1, 127.1; as inet_aton.

    The last part fills all bytes that are left.
    """
    if len(parts) > _IPV4_BYTES or not all(map(_NUMBER.fullmatch, parts)):
        return None
    *heads, last = [
        int(part, 0) if part[:2].lower() == "0x" else int(part, 8 if part[0] == "0" else 10) for part in parts
    ]
    left = _IPV4_BYTES - len(heads)
    if any(head > _BYTE for head in heads) or last >= 1 << (8 * left):
        return None
    return IPv4Address(int.from_bytes(bytes(heads), "big") << (8 * left) | last)


def is_public(address: Address) -> bool:
    """Return whether an address is on the public internet, and so is any address that it carries inside."""
    return all(one.is_global and not one.is_multicast and not one.is_reserved for one in _carried(address))


def _carried(address: Address) -> Iterable[Address]:
    """Return what an address is about: those of IPv4 inside one of IPv6 too."""
    if isinstance(address, IPv4Address):
        return [address]
    if address.ipv4_mapped is not None:
        return [address.ipv4_mapped]
    if address.sixtofour is not None:
        return [address, address.sixtofour]
    if address.teredo is not None:
        return [address, *address.teredo]
    if address in _NAT64:
        return [IPv4Address(int(address) & 0xFFFF_FFFF)]
    return [IPv4Address(0)] if address.is_site_local else [address]


def _entry(text: str) -> tuple[str, int | None]:
    """Return one entry of an allow-list. Raises `ValueError`."""
    message = f"has an entry that is neither host nor host:port: {text}"
    inside, closing, after = text.partition("]")
    if text.startswith("[") and closing:
        host, colon, port = inside[1:], after[:1], after[1:]
    else:
        host, colon, port = text.partition(":")
    try:
        usual = usual_host(host)
    except InvalidUrl:
        raise ValueError(message) from None
    if not colon:
        return usual, None
    if colon != ":" or not port.isdecimal() or not 0 < int(port) <= _MAX_PORT:
        raise ValueError(message)
    return usual, int(port)
