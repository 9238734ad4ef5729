"""Services that hang, or whose answer is lost: pages are shown, and a form that is sent again acts once."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import pytest
from common.access.auth import Role
from console.app import Console
from console.pages import visit
from support.console.browser import Browser, browser_of, console_of
from support.console.system import System
from support.gateway.raw_http import limits, raw_server

# Of a part of a page, in seconds: shorter than that of a call.
OF_PRODUCTION = 3.0
NAMES = ("orders", "returns", "invoicing", "refunds")


class LosesAnswers:
    """Before an application: what the first request with this method asks for is done, and its answer is lost or
    replaced by one with `status`."""

    def __init__(self, app: Any, method: str, status: int | None = None) -> None:
        self._app, self._method, self._status = app, method, status

    async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
        if scope["method"] != self._method:
            await self._app(scope, receive, send)
            return
        self._method = "none"

        async def nobody(_message: Any) -> None:
            return

        await self._app(scope, receive, nobody)
        # Without the body that it promises, the connection is closed.
        headers = [(b"content-length", b"0" if self._status else b"10")]
        await send({"type": "http.response.start", "status": self._status or 200, "headers": headers})
        if self._status:
            await send({"type": "http.response.body", "body": b""})


@asynccontextmanager
async def console_beside(system: System, **addresses: str) -> AsyncIterator[Console]:
    """Another console before the same services, of which some have other addresses."""
    urls = {f"{name}_url": server.server.address for name, server in system.servers.items()}
    async with console_of(**{**urls, **addresses}) as console:
        yield console


@asynccontextmanager
async def hanging() -> AsyncIterator[str]:
    """The address of a service that accepts connections and never answers."""
    opened = []

    async def keep(_reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        opened.append(writer)

    server = await asyncio.start_server(keep, "127.0.0.1")
    try:
        yield f"http://127.0.0.1:{server.sockets[0].getsockname()[1]}"
    finally:
        server.close()
        for writer in opened:
            writer.close()


async def test_while_one_service_hangs_the_overview_shows_the_others(
    whole_system: System, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(visit, "PART_SECONDS", OF_PRODUCTION)
    async with hanging() as address, console_beside(whole_system, refunds_url=address) as console:
        browser = browser_of(console)
        await browser.log_in(Role.OPS, to="/orders")
        shown = await browser.open("/")

    assert shown.title == "Overview"
    assert "No answer within 3 s." in shown.text
    assert "1 service did not report its status" in shown.text


async def keys_named(browser: Browser, name: str) -> int:
    shown = await browser.open("/api-keys?service=orders")
    return shown.text.count(name)


@pytest.mark.parametrize("status", [None, 503], ids=["lost", "unknown"])
async def test_after_no_answer_the_form_is_sent_again_with_its_key_and_acts_once(
    whole_system: System, status: int | None
) -> None:
    name = f"sent again after {status}"
    async with (
        raw_server(LosesAnswers(whole_system.orders.app, "POST", status), limits(body_bytes=2**20)) as server,
        console_beside(whole_system, orders_url=server.server.address) as console,
    ):
        browser = browser_of(console)
        await browser.log_in(Role.OPS)
        unanswered = await browser.press(await browser.open("/api-keys"), "Create", name=name, service="orders")
        assert unanswered.status == 503
        (page,) = [each for each in unanswered.root.all("a") if each.text == "the page"]
        assert page.attributes["href"] == "/api-keys"
        assert await keys_named(browser, name) == 1

        shown = await browser.press(unanswered, "Send again")

        assert "This key was created before" in shown.text
        assert await keys_named(browser, name) == 1


async def test_while_the_first_request_is_running_the_form_can_be_sent_again_later(whole_system: System) -> None:
    """The refusal of the second one must not give the form another key."""
    browser = await whole_system.logged_in(Role.OPS)
    page = await browser.open("/api-keys")
    key = page.form("Create").fields["key"]

    class StillRunning:
        async def __call__(self, scope: Any, receive: Any, send: Any) -> None:
            if scope["method"] != "POST":
                await whole_system.orders.app(scope, receive, send)
                return
            headers = [(b"content-length", b"0"), (b"retry-after", b"1")]
            await send({"type": "http.response.start", "status": 409, "headers": headers})
            await send({"type": "http.response.body", "body": b""})

    async with (
        raw_server(StillRunning(), limits(body_bytes=2**20)) as server,
        console_beside(whole_system, orders_url=server.server.address) as console,
    ):
        other = browser_of(console)
        other.client.cookies.update(browser.client.cookies)
        shown = await other.press(page, "Create", name="still running", service="orders")

    assert shown.form("Send again").fields["key"] == key
