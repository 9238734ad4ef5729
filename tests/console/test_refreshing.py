"""Pages that refresh themselves: their calls of the services, their age, and how to stop them."""

from collections import Counter
from collections.abc import Iterator

import pytest
from common.access.auth import Role
from console.pages.table import PAGES
from prometheus_client import REGISTRY
from support.console.browser import Browser, Shown
from support.console.html import Element
from support.console.system import System
from support.example.orders import place

REFRESHED = ("/", "/failures")
# Of the default limit of 100 requests in a minute, at each service.
MOST_PER_MINUTE = 48
AS_HTMX = {"HX-Request": "true"}


def refreshed(page: Shown) -> Iterator[Element]:
    return (each for each in page.root.all() if "hx-get" in each.attributes)


def refreshes_per_minute(part: Element) -> float:
    _, seconds = part.attributes["hx-trigger"].split()
    return 60 / float(seconds.removesuffix("s"))


def calls() -> Counter[str]:
    """Of each service, so far."""
    found: Counter[str] = Counter()
    for metric in REGISTRY.collect():
        for sample in metric.samples:
            if sample.name == "console_service_call_duration_seconds_count":
                found[sample.labels["target"]] += int(sample.value)
    return found


async def calls_per_minute(browser: Browser, path: str) -> Counter[str]:
    per_minute: dict[str, float] = {}
    for part in refreshed(await browser.open(path)):
        before = calls()
        await browser.open(part.attributes["hx-get"], **AS_HTMX)
        for service, number in (calls() - before).items():
            per_minute[service] = per_minute.get(service, 0) + number * refreshes_per_minute(part)
    return Counter({service: round(number) for service, number in per_minute.items()})


async def test_two_open_pages_that_refresh_themselves_leave_an_operator_most_of_the_request_limit(
    whole_system: System,
) -> None:
    browser = await whole_system.logged_in(Role.OPS)

    per_minute = sum([await calls_per_minute(browser, path) for path in REFRESHED], Counter[str]())

    assert set(per_minute) == {"orders", "returns", "invoicing", "refunds"}
    assert max(per_minute.values()) <= MOST_PER_MINUTE, per_minute


async def test_the_page_of_failed_work_is_refreshed_within_five_seconds(whole_system: System) -> None:
    browser = await whole_system.logged_in(Role.OPS)
    (part,) = refreshed(await browser.open("/failures"))
    assert refreshes_per_minute(part) > 60 / 5


async def test_every_part_that_refreshes_itself_says_of_when_it_is(whole_system: System) -> None:
    """The time is inside the part that is replaced, and outside the region that a screen reader announces."""
    browser = await whole_system.logged_in(Role.OPS)
    found = []
    for page in (each for each in PAGES if each.method == "GET" and "{" not in each.path):
        shown = await browser.open(page.path)
        for part in refreshed(shown):
            found.append(page.path)
            assert "As of 20" in part.text
            answer = await browser.open(part.attributes["hx-get"], **AS_HTMX)
            assert "As of 20" in answer.root.text
            assert not [each for each in answer.root.all() if each.attributes.get("role") in ("status", "alert")]
            (stale,) = [each for each in shown.root.all() if each.attributes.get("id") == "stale"]
            assert "hidden" in stale.attributes
    assert sorted(found) == sorted(REFRESHED)


@pytest.mark.parametrize("path", REFRESHED)
async def test_a_page_that_refreshes_itself_can_be_stopped_without_javascript(whole_system: System, path: str) -> None:
    browser = await whole_system.logged_in(Role.OPS)
    shown = await browser.open(path)
    (stop,) = [each for each in shown.root.all("a") if each.text == "Stop refreshing"]

    stopped = await browser.open(path + stop.attributes["href"])

    assert list(refreshed(stopped)) == []
    assert "As of 20" in stopped.text
    (begin,) = [each for each in stopped.root.all("a") if each.text == "Refresh by itself"]
    assert len(list(refreshed(await browser.open(path + begin.attributes["href"])))) == 1


async def test_a_part_that_refreshes_itself_leaves_a_message_to_the_page_that_can_show_it(whole_system: System) -> None:
    order = await place(whole_system.orders)
    browser = await whole_system.logged_in(Role.MANAGER)
    page = await browser.open(f"/orders/{order['id']}")
    browser.client.follow_redirects = False
    await browser.press(page, "Cancel the order", reason="sold out")

    await browser.open("/overview/live", **AS_HTMX)

    assert "Cancel the order: done." in (await browser.open(f"/orders/{order['id']}")).text
    assert "Cancel the order: done." not in (await browser.open(f"/orders/{order['id']}")).text
