"""Every page with every role: who sees it, who may act, and what its HTML is like."""

import re
from collections.abc import Iterator
from itertools import pairwise
from typing import Any
from uuid import uuid4

import pytest
from common.access.auth import Role
from console.pages.page import Page
from console.pages.table import PAGES
from prometheus_client import REGISTRY
from support.console.browser import ORIGIN, Shown
from support.console.html import Element
from support.console.system import System
from support.example.orders import place

LARGEST_PAGE = 100_000
# What a path names, where no object of this test is meant: a page may answer that it does not exist.
PARAMETERS = {"service": "orders", "kind": "alert", "prefix": "nobody", "position": "999999999", "outcome": "x"}


def address(page: Page, order_id: str) -> str:
    def value(found: re.Match[str]) -> str:
        name = found[1]
        return order_id if name == "order_id" else PARAMETERS.get(name, str(uuid4()))

    return re.sub(r"\{(\w+)\}", value, page.path)


def refused_calls() -> float:
    """How many calls of a page a service refused because of the person's role."""
    samples = (sample for metric in REGISTRY.collect() for sample in metric.samples)
    name = "console_service_call_duration_seconds_count"
    return sum(each.value for each in samples if each.name == name and each.labels["status"] == "403")


@pytest.mark.parametrize("role", Role)
async def test_a_role_sees_its_pages_and_can_do_its_actions_and_no_others(whole_system: System, role: Role) -> None:
    browser = await whole_system.logged_in(role)
    token = (await browser.open("/")).form("Log out").fields["form_token"]
    wrong = []
    for page in PAGES:
        order_id = str((await place(whole_system.orders))["id"])
        path, before = address(page, order_id), refused_calls()
        if page.method == "GET":
            shown = await browser.open(path)
        else:
            form = {"form_token": token, "reason": "a test", "payment_transaction_id": "pi_1"}
            shown = Shown(await browser.client.post(path, data=form, headers={"Origin": ORIGIN}))
        is_refused = shown.status == 403
        if is_refused == page.is_for(role) or shown.status >= 500 or refused_calls() > before:
            wrong.append((page.method, path, shown.status))
    assert wrong == []


@pytest.mark.parametrize("role", Role)
async def test_the_navigation_has_exactly_the_pages_of_the_role(whole_system: System, role: Role) -> None:
    browser = await whole_system.logged_in(role)

    shown = await browser.open("/")

    assert shown.navigation == [page.title for page in PAGES if page.in_navigation and page.is_for(role)]


@pytest.mark.parametrize("role", [Role.CLIENT, Role.OPS])
async def test_every_page_is_small_and_can_be_read_by_a_screen_reader(whole_system: System, role: Role) -> None:
    browser = await whole_system.logged_in(role)
    order_id = str((await place(whole_system.orders))["id"])
    for page in PAGES:
        if page.method == "GET" and page.is_for(role):
            shown = await browser.open(address(page, order_id))
            if shown.response.headers["content-type"].startswith("text/html"):
                assert len(shown.response.content) < LARGEST_PAGE
                assert list(faults(shown.root)) == [], page.path


def faults(root: Element) -> Iterator[str]:
    """What axe-core would report too, on the HTML alone."""
    headings = [int(each.tag[1]) for each in root.all("h1", "h2", "h3", "h4")]
    is_page = any(root.all("html"))
    if is_page and headings.count(1) != 1:
        yield f"{headings.count(1)} headings of level 1"
    yield from (f"h{b} after h{a}" for a, b in pairwise(headings) if b > a + 1)
    ids = [each.attributes["id"] for each in root.all() if "id" in each.attributes]
    yield from (f"id {each} twice" for each in set(ids) if ids.count(each) > 1)
    labelled = {each.attributes.get("for") for each in root.all("label")}
    yield from (
        f"no label: {each.attributes}" for each in root.all("input", "select", "textarea") if _lacks(each, labelled)
    )
    yield from ("a table without column headers" for each in root.all("table") if not _has_headers(each))
    yield from (f"style in {each.tag}" for each in root.all() if "style" in each.attributes or each.tag == "style")
    yield from (
        f"script in {each.tag}" for each in root.all() if any(name.startswith("on") for name in each.attributes)
    )
    yield from ("a form without a token" for each in root.all("form") if not _is_protected(each))


def _lacks(field: Element, labelled: set[Any]) -> bool:
    attributes = field.attributes
    return (
        attributes.get("type") != "hidden" and attributes.get("id") not in labelled and "aria-label" not in attributes
    )


def _has_headers(table: Element) -> bool:
    return all("scope" in each.attributes for each in table.all("th")) and any(table.all("th"))


def _is_protected(form: Element) -> bool:
    if form.attributes.get("method", "get") == "get":
        return True
    return any(each.attributes.get("name") == "form_token" for each in form.all("input"))
