"""Log-in with an OpenID provider: the console calls the services with the token of the person."""

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from urllib.parse import parse_qs, urlsplit

import httpx
import pytest
import pytest_asyncio
from console.app import Console
from orders.app import SERVICE
from support.console.browser import ORIGIN, Browser, Shown, browser_of, console_of
from support.console.openid_provider import CLIENT, Provider, serve_provider
from support.gateway.application import serve
from support.gateway.identity_provider import AUDIENCE
from support.gateway.raw_http import limits, raw_server
from support.postgres.databases import Databases


@asynccontextmanager
async def trusting(provider: Provider, databases: Databases) -> AsyncIterator[Console]:
    """The console and the orders gateway, which both trust the provider."""
    trust = {"jwt_issuer": provider.issuer, "jwt_audience": AUDIENCE, "jwt_jwks_url": f"{provider.issuer}/keys"}
    async with (
        serve(SERVICE, databases.create("orders"), **trust) as orders,
        raw_server(orders.app, limits(body_bytes=2**20)) as server,
        console_of(
            orders_url=server.server.address,
            jwt_issuer=provider.issuer,
            oidc_client_id=CLIENT,
            public_url=ORIGIN,
        ) as console,
    ):
        yield console


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def trusted(databases: Databases) -> AsyncIterator[tuple[Console, Provider]]:
    async with serve_provider() as provider, trusting(provider, databases) as console:
        yield console, provider


async def at_provider(browser: Browser, address: str = "/login/oidc?next=/orders") -> httpx.URL:
    """Begin the log-in, let the provider log the person in, and return the address to which it sends the browser."""
    browser.client.follow_redirects = False
    started = await browser.open(address)
    browser.client.follow_redirects = True
    async with httpx.AsyncClient() as network:
        answer = await network.get(started.response.headers["location"])
    return httpx.URL(answer.headers["location"])


async def back(browser: Browser, address: httpx.URL) -> Shown:
    return await browser.open(address.raw_path.decode())


async def test_a_person_is_logged_in_with_the_role_that_the_services_read_of_the_token(
    trusted: tuple[Console, Provider],
) -> None:
    browser = browser_of(trusted[0])
    assert "Log in with your account" in (await browser.open("/login")).text

    shown = await back(browser, await at_provider(browser))

    assert (shown.status, shown.title, shown.path) == (200, "Orders", "/orders")
    (header,) = shown.root.all("header")
    assert "Maria (manager)" in header.text


async def test_the_request_to_the_provider_has_a_challenge_a_state_and_a_nonce(
    trusted: tuple[Console, Provider],
) -> None:
    browser = browser_of(trusted[0])
    browser.client.follow_redirects = False

    started = await browser.open("/login/oidc")

    query = parse_qs(urlsplit(started.response.headers["location"]).query)
    assert query["code_challenge_method"] == ["S256"]
    assert query["redirect_uri"] == [f"{ORIGIN}/login/callback"]
    assert all(len(query[name][0]) >= 32 for name in ("state", "nonce", "code_challenge"))


async def test_from_a_page_with_a_long_address_a_person_comes_to_the_overview(
    trusted: tuple[Console, Provider],
) -> None:
    """The cookie has no room for it."""
    browser = browser_of(trusted[0])
    address = await at_provider(browser, f"/login/oidc?next=/orders%3Ftext%3D{'x' * 4000}")

    shown = await back(browser, address)

    assert (shown.status, shown.path) == (200, "/")


async def test_a_code_that_was_given_to_another_browser_logs_nobody_in(trusted: tuple[Console, Provider]) -> None:
    thief, victim = browser_of(trusted[0]), browser_of(trusted[0])
    stolen = await at_provider(thief)

    shown = await back(victim, stolen)

    assert shown.status == 403
    assert "was not started here" in shown.text
    assert (await victim.open("/")).title == "Log in"


async def test_a_code_is_worth_nothing_the_second_time(trusted: tuple[Console, Provider]) -> None:
    browser = browser_of(trusted[0])
    address = await at_provider(browser)
    copy = browser_of(trusted[0])
    copy.client.cookies.update(browser.client.cookies)
    assert (await back(browser, address)).status == 200

    assert (await back(copy, address)).status == 403


@pytest.mark.parametrize(
    ("claims", "problem"),
    [
        ({"nonce": "another"}, "for another log-in"),
        ({"aud": "another-client"}, "not for this audience"),
        ({"iss": "https://evil.example"}, "not trusted"),
        ({"exp": 1}, "has expired"),
    ],
)
async def test_an_id_token_that_is_not_for_this_log_in_is_refused(
    trusted: tuple[Console, Provider], claims: dict[str, object], problem: str
) -> None:
    console, provider = trusted
    browser = browser_of(console)
    address = await at_provider(browser)
    provider.id_claims = claims
    try:
        shown = await back(browser, address)
    finally:
        provider.id_claims = {}

    assert shown.status == 403
    assert problem in shown.text


async def test_a_person_without_a_role_is_told_so(trusted: tuple[Console, Provider]) -> None:
    console, provider = trusted
    browser = browser_of(console)
    address = await at_provider(browser)
    provider.access_claims = {"role": "gardener"}
    try:
        shown = await back(browser, address)
    finally:
        provider.access_claims = {}

    assert shown.status == 403
    assert "The token names no role." in shown.text
