"""Who is called: only who may be, over TLS that is trusted, with secrets that are found."""

from __future__ import annotations

import ssl
from collections.abc import AsyncIterator, Sequence
from typing import TYPE_CHECKING

import pytest
import trustme

from kaireon_storage.external.secrets import EnvironmentSecrets, FileSecrets, Secrets
from tests.api.scoring_service import ScoringService, scoring_service
from tests.storage.endpoint_calls import ALL, OFFERS, call_of, scorer, told

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
async def service() -> AsyncIterator[ScoringService]:
    """A service."""
    async with scoring_service() as running:
        yield running


async def test_a_certificate_must_be_trusted_and_be_the_hosts(redis_url: str) -> None:
    authority = trustme.CA()
    trusting = ssl.create_default_context()
    authority.configure_trust(trusting)
    for identity, expected in (("127.0.0.1", 0.1), ("elsewhere.example", "tls")):
        serving = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        authority.issue_cert(identity).configure_cert(serving)
        async with scoring_service(serving) as service:
            service.answer = ALL
            async with scorer(redis_url, tls=trusting) as opened:
                assert told(await opened.score(call_of(service.url, retries=3)))["a"] == expected
            async with scorer(redis_url) as opened:
                assert told(await opened.score(call_of(service.url, retries=3))) == dict.fromkeys(OFFERS, "tls")


async def test_a_name_is_checked_when_it_is_connected_to(redis_url: str, service: ScoringService) -> None:
    resolved = ["203.0.113.7"]
    asked = list[str]()

    async def lookup(host: str, _: int) -> Sequence[tuple[int, str]]:
        asked.append(host)
        return [(2, address) for address in resolved]

    service.answer = ALL
    endpoint = f"http://scores.example:{service.port}/score"
    async with scorer(redis_url, allowed="", lookup=lookup) as opened:
        for address in ("127.0.0.1", "10.0.0.1", "169.254.169.254", "::1", "::ffff:127.0.0.1", "::"):
            resolved[:] = [address]
            found = await opened.score(call_of(endpoint, retries=5))
            assert told(found) == dict.fromkeys(OFFERS, "blocked_address"), address
    assert service.calls == 0
    assert asked == ["scores.example"] * 6
    async with scorer(redis_url, allowed="scores.example", lookup=lookup) as opened:
        resolved[:] = ["127.0.0.1"]
        assert told(await opened.score(call_of(endpoint)))["a"] == 0.1
    async with scorer(redis_url, allowed=f"scores.example:{service.port + 1}", lookup=lookup) as opened:
        assert told(await opened.score(call_of(endpoint)))["a"] == "blocked_address"


async def test_the_connection_goes_to_the_address_that_was_checked(redis_url: str, service: ScoringService) -> None:
    """A name that resolves anew: allowed by the list at first, then to somewhere else; nobody resolves it twice."""
    answers = iter([[(2, "127.0.0.1")]])

    async def lookup(host: str, _: int) -> Sequence[tuple[int, str]]:
        return next(answers)

    service.answer = ALL
    async with scorer(redis_url, allowed="scores.example", lookup=lookup) as opened:
        assert told(await opened.score(call_of(f"http://scores.example:{service.port}/")))["a"] == 0.1
    assert service.received[0].headers["host"] == f"scores.example:{service.port}"


@pytest.mark.parametrize("host", ["127.0.0.1", "2130706433", "0x7f000001", "0177.0.0.1", "127.1", "localhost", "[::1]"])
async def test_no_spelling_of_this_machine_is_called(redis_url: str, service: ScoringService, host: str) -> None:
    async with scorer(redis_url, allowed="") as opened:
        found = await opened.score(call_of(f"http://{host}:{service.port}/score"))
    assert told(found) == dict.fromkeys(OFFERS, "blocked_address")
    assert service.connections == 0


@pytest.fixture
def directory(tmp_path: Path) -> Path:
    """A directory of secrets, with what leads out of it."""
    directory = tmp_path / "secrets"
    directory.mkdir()
    (directory / "token").write_text("from-file\n")
    (directory / "broken").write_text("a\nb")
    (tmp_path / "outside").write_text("outside")
    (directory / "link").symlink_to(tmp_path / "outside")
    (directory / "inside").symlink_to(directory / "token")
    return directory


TOKENS: dict[str, str | None] = {
    "plain": "plain",
    "secret://env/TOKEN": "from-env",
    "secret://env/NONE": None,
    "secret://file/token": "from-file",
    "secret://file/inside": "from-file",
    "secret://file/none": None,
    "secret://file/link": None,
    "secret://file/broken": None,
    "secret://file/../outside": None,
    "secret://vault/token": None,
}


async def test_secrets_are_resolved_when_they_are_needed(
    redis_url: str, service: ScoringService, directory: Path
) -> None:
    now = [0.0]
    secrets = Secrets(
        {"env": EnvironmentSecrets({"TOKEN": "from-env"}), "file": FileSecrets(directory)}, lambda: now[0]
    )
    service.answer = ALL
    async with scorer(redis_url, secrets=secrets) as opened:
        for token, sent in TOKENS.items():
            service.received.clear()
            found = await opened.score(call_of(service.url, auth={"token": token}))
            headers = [one.headers.get("authorization") for one in service.received]
            if sent is None:
                assert (told(found), headers) == (dict.fromkeys(OFFERS, "secret"), []), token
            else:
                assert headers == [f"Bearer {sent}"], token
        (directory / "token").write_text("renewed")
        now[0] += 60
        service.received.clear()
        await opened.score(call_of(service.url, auth={"token": "secret://file/token"}))
        assert service.received[0].headers["authorization"] == "Bearer renewed"
