"""What protects a person who is logged in: forms, cookies, headers, and a limit of failed log-ins."""

import hashlib
import re
from importlib.resources import files

import httpx
import pytest
from common.access.auth import Role
from console.app import Console
from console.session.throttle import FAILURES, SECONDS, Throttle
from support.console.browser import ORIGIN, Browser, browser_of, console_of
from support.console.system import System
from support.example.orders import place

STATIC = files("console") / "static"


@pytest.mark.parametrize(
    ("token", "origin"), [("right", "https://evil.example"), ("wrong", ORIGIN), ("none", ORIGIN), ("right", None)]
)
async def test_a_form_of_another_site_or_session_changes_nothing(
    whole_system: System, token: str, origin: str | None
) -> None:
    order = await place(whole_system.orders)
    browser = await whole_system.logged_in(Role.MANAGER)
    fields = (await browser.open(f"/orders/{order['id']}")).form("Cancel the order").fields
    sent = {**fields, "reason": "a test", "form_token": {"right": fields["form_token"], "none": ""}.get(token, token)}

    headers = {} if origin is None else {"Origin": origin}
    answer = await browser.client.post(f"/orders/{order['id']}/cancel", data=sent, headers=headers)

    assert answer.status_code == 403
    assert (await whole_system.orders.get(f"/orders/{order['id']}")).json()["status"] == "PENDING_PAYMENT"


async def test_a_changed_cookie_is_no_session(whole_system: System) -> None:
    browser = await whole_system.logged_in(Role.OPS)
    (value,) = (each.value for each in browser.client.cookies.jar if each.name == "console-session")
    changed = str(value)[:-2] + ("AA" if not str(value).endswith("AA") else "BB")
    browser.client.cookies.clear()
    browser.client.cookies.set("console-session", changed)

    assert (await browser.open("/")).title == "Log in"


async def test_a_log_in_makes_a_new_session_whatever_the_browser_had(whole_system: System) -> None:
    browser = await whole_system.logged_in(Role.WAREHOUSE)
    before = dict(browser.client.cookies)
    await browser.press(await browser.open("/"), "Log out")
    await browser.log_in(Role.WAREHOUSE)

    assert browser.client.cookies["console-session"] != before["console-session"]


def over_https(console: Console) -> Browser:
    transport = httpx.ASGITransport(console)
    return Browser(httpx.AsyncClient(transport=transport, base_url="https://console.example"))


async def test_over_https_a_cookie_is_for_https_only() -> None:
    async with console_of(public_url="https://console.example") as console:
        shown = await over_https(console).open("/login")

    (cookie,) = shown.response.headers.get_list("set-cookie")
    assert cookie.startswith("__Host-console-login=")
    assert "Secure" in cookie


async def test_every_response_forbids_inline_code_frames_and_copies(whole_system: System) -> None:
    browser = await whole_system.logged_in(Role.OPS)
    for path in ("/", "/login", "/nowhere", "/overview/live"):
        headers = (await browser.open(path)).response.headers
        policy = headers["content-security-policy"]
        assert policy.startswith("default-src 'none'")
        assert "unsafe" not in policy
        assert (headers["x-frame-options"], headers["cache-control"]) == ("DENY", "no-store")


async def test_after_too_many_failed_log_ins_an_address_has_to_wait(whole_system: System) -> None:
    browser = browser_of(whole_system.console, address="203.0.113.5")
    for number in range(FAILURES):
        assert (await browser.log_in(f"made-up-{number}.wrong")).status == 401

    shown = await browser.log_in(Role.OPS)

    assert shown.status == 429
    assert int(shown.response.headers["retry-after"]) > 0


def test_failed_log_ins_are_forgotten_after_a_while() -> None:
    now = 0.0
    throttle = Throttle(lambda: now)
    for _ in range(FAILURES):
        throttle.failed("key a")
    assert throttle.wait_seconds("key a") == SECONDS
    assert throttle.wait_seconds("key b") == 0

    now = SECONDS

    assert throttle.wait_seconds("key a") == 0


def test_the_vendored_script_is_the_one_that_is_documented() -> None:
    (documented,) = re.findall(r"`([0-9a-f]{64})`", (STATIC / "README.md").read_text())
    assert hashlib.sha256((STATIC / "htmx.min.js").read_bytes()).hexdigest() == documented
    assert "Zero-Clause BSD" in (STATIC / "htmx-LICENSE.txt").read_text()


async def test_a_polled_part_of_an_ended_session_sends_the_browser_to_the_log_in() -> None:
    async with console_of() as console:
        shown = await browser_of(console).open("/overview/live", **{"HX-Request": "true"})

    assert (shown.status, shown.response.headers["hx-redirect"]) == (401, "/login?ended=1")
