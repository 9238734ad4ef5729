"""The largest answers of the services, and what the pages leave out of them."""

import re
from collections.abc import AsyncIterator
from uuid import uuid4

import pytest_asyncio
from common.access.auth import Role
from console.pages.table import PAGES
from support.console.browser import Browser, browser_of, console_of
from support.console.largest import largest_service
from support.console.largest_values import ID
from support.gateway.raw_http import limits, raw_server

LARGEST_PAGE = 100_000
NAMED = {"service": "invoicing", "position": "1"}
# More of a list than every service has beside the others.
QUERIES = {
    "/failures/group": ["?service=invoicing&kind=k&cause=c"],
    "/book": ["", f"?order_id={ID}"],
    **{path: ["", "?service=invoicing"] for path in ("/jobs", "/poison", "/unsent-events", "/findings", "/audit")},
    **{path: ["", "?service=invoicing"] for path in ("/api-keys", "/audit/verifications")},
}
ORDER = f"/orders/{ID}"


@pytest_asyncio.fixture(scope="module", loop_scope="session")
async def operator() -> AsyncIterator[Browser]:
    """Of a console whose services have the largest answers."""
    async with raw_server(largest_service(), limits(body_bytes=2**20)) as server:
        urls = {f"{name}_url": server.server.address for name in ("orders", "returns", "invoicing", "refunds")}
        async with console_of(**urls) as console:
            browser = browser_of(console)
            await browser.log_in(Role.OPS)
            yield browser


def addresses() -> list[str]:
    found = []
    for page in PAGES:
        if page.method == "GET" and not page.path.endswith("/invoice"):
            path = re.sub(r"\{(\w+)\}", lambda name: NAMED.get(name[1], str(uuid4())), page.path)
            found += [path + query for query in QUERIES.get(page.path, [""])]
    return found


async def test_the_largest_answers_of_the_services_make_pages_below_100_kb(operator: Browser) -> None:
    sizes = {}
    for address in addresses():
        shown = await operator.open(address)
        assert shown.status == 200, f"{address}: {shown.response.text[:2000]}"
        sizes[address] = len(shown.response.content)
    assert {address: size for address, size in sizes.items() if size >= LARGEST_PAGE} == {}


async def test_the_page_of_failed_work_says_how_many_causes_it_leaves_out(operator: Browser) -> None:
    shown = await operator.open("/failures")
    assert len(list(next(shown.root.all("tbody")).all("tr"))) == 25
    assert "and 375 more causes" in shown.text


async def test_of_a_job_the_last_error_is_shown_in_full_and_the_earlier_ones_cut(operator: Browser) -> None:
    shown = await operator.open(f"/jobs/invoicing/{ID}")
    rows = [row.text for row in next(shown.root.all("tbody")).all("tr")]
    assert len(rows) == 100
    assert max(map(len, rows[:-1])) < 400
    assert len(rows[-1]) > 1900


async def test_links_lead_to_the_lines_and_the_steps_of_an_order_that_its_page_leaves_out(operator: Browser) -> None:
    shown = await operator.open(ORDER)
    steps, lines = [each.attributes["href"] for each in shown.root.all("a") if each.attributes["href"][:1] == "?"]
    assert (steps, lines) == ("?entry=950#timeline", "?line=60#content-of-order")

    earlier = await operator.open(ORDER + steps.partition("#")[0])
    assert "900 earlier entries" in earlier.text
    assert "50 more entries" in earlier.text
    last = await operator.open(f"{ORDER}?line=200")
    assert "170 earlier lines" in last.text
