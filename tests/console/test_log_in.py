"""Log-in with an API key, log-out, and who is sent to the log-in."""

from uuid import uuid4

import pytest
from common.access.auth import Role
from support.console.browser import ORIGIN, browser_of, console_of
from support.console.system import System
from support.metrics.moved import moves


async def test_without_a_session_every_page_leads_to_the_log_in_and_from_there_back(whole_system: System) -> None:
    browser = browser_of(whole_system.console)

    asked = await browser.open("/nowhere?page=2")
    assert (asked.title, asked.status) == ("Log in", 200)
    assert asked.path == "/login?next=/nowhere%3Fpage%3D2"
    shown = await browser.press(asked, "Log in", api_key="ops.the-secret-of-a-test")

    assert shown.path == "/nowhere?page=2"


@pytest.mark.parametrize("role", Role)
@moves("console_service_call_duration_seconds_bucket")
async def test_the_role_of_a_key_is_what_the_services_say(whole_system: System, role: Role) -> None:
    shown = await browser_of(whole_system.console).log_in(role)

    (header,) = shown.root.all("header")
    assert f"{role} ({role})" in header.text


async def test_a_wrong_key_is_refused_and_leaves_no_session(whole_system: System) -> None:
    browser = browser_of(whole_system.console)

    shown = await browser.log_in("ops.wrong")

    assert (shown.status, shown.title) == (401, "Log in")
    assert "This API key is not valid." in shown.text
    assert (await browser.open("/")).title == "Log in"


async def test_a_key_that_not_all_services_have_is_refused_with_their_names(whole_system: System) -> None:
    key = await whole_system.orders.new_client(uuid4())
    browser = browser_of(whole_system.console)

    shown = await browser.log_in(key)

    assert (shown.status, shown.title) == (403, "Log in")
    assert (
        "This key is valid at orders, and unknown to returns, invoicing and refunds. "
        "The console needs a key that all four services have."
    ) in shown.text
    assert (await browser.open("/")).title == "Log in"


async def test_a_service_that_is_down_does_not_prevent_the_log_in(whole_system: System) -> None:
    urls = {f"{name}_url": whole_system.servers[name].server.address for name in ("returns", "invoicing", "refunds")}
    async with console_of(**urls) as console:
        shown = await browser_of(console).log_in(Role.MANAGER)

    assert shown.title == "Overview"


async def test_a_session_that_a_service_ended_says_so_on_the_log_in_page(whole_system: System) -> None:
    """The session is that of another process of the console, whose only service has the key."""
    key = await whole_system.orders.new_client(uuid4())
    async with console_of(orders_url=whole_system.servers["orders"].server.address) as console:
        browser = browser_of(console)
        assert (await browser.log_in(key)).title == "Overview"
    visitor = browser_of(whole_system.console)
    visitor.client.cookies.update(browser.client.cookies)

    shown = await visitor.open("/returns")

    assert (shown.title, shown.path) == ("Log in", "/login?ended=1&next=/returns")
    assert "Your session has ended, or a service no longer accepts your key." in shown.text
    assert "Your session has ended" not in (await visitor.open("/")).text


async def test_while_no_service_answers_the_log_in_says_so() -> None:
    async with console_of() as console:
        shown = await browser_of(console).log_in(Role.OPS)

    assert shown.status == 503
    assert "cannot be reached" in shown.text


async def test_the_cookie_is_kept_from_scripts_and_other_sites_and_does_not_show_the_key(whole_system: System) -> None:
    browser = browser_of(whole_system.console)
    page = await browser.open("/login")
    browser.client.follow_redirects = False

    response = (await browser.press(page, "Log in", api_key="ops.the-secret-of-a-test")).response

    (cookie,) = (each for each in response.headers.get_list("set-cookie") if each.startswith("console-session="))
    assert "HttpOnly" in cookie
    assert "SameSite=lax" in cookie
    assert "the-secret" not in cookie


async def test_after_the_log_out_a_copy_of_the_cookie_is_worth_nothing(whole_system: System) -> None:
    browser = await whole_system.logged_in(Role.OPS)
    copy = dict(browser.client.cookies)

    page = await browser.press(await browser.open("/"), "Log out")

    assert page.title == "Log in"
    thief = browser_of(whole_system.console)
    thief.client.cookies.update(copy)
    assert (await thief.open("/")).title == "Log in"


@pytest.mark.parametrize(
    "address", ["//evil.example", "https://evil.example/", "/\\evil.example", "javascript:alert(1)", "/a\nb"]
)
async def test_the_log_in_leads_to_no_other_site(whole_system: System, address: str) -> None:
    browser = browser_of(whole_system.console)
    page = await browser.open("/login")

    shown = await browser.press(page, "Log in", api_key="ops.the-secret-of-a-test", next=address)

    assert str(shown.response.url) == f"{ORIGIN}/"
