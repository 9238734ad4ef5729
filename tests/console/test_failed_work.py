"""What an operator does about failed work on the console's pages: each action is a plain form."""

import re
from uuid import UUID

import pytest
from common.access.auth import Role
from console.pages.table import PAGES
from support.console.browser import Browser
from support.console.stage import Stage
from support.project.documents import ROOT

TEMPLATES = ROOT / "services" / "console" / "console" / "templates"
FULL = "OSError: no space left on device"
DEAD = f"state = 'dead', failures = 4, finished_at = now(), failed_at = now(), last_error = '{FULL}', cause = '{FULL}'"
REFUSED_ROW = "CheckViolationError: new row violates a check\nDETAIL: Failing row contains ({}, 12.50)."
CAUSE = "CheckViolationError: new row violates a check DETAIL: Failing row contains (<id>, <number>)."


def test_every_action_is_a_plain_form() -> None:
    """So that it works without scripts."""
    texts = {file.name: file.read_text() for file in TEMPLATES.glob("*.html")}
    assert [name for name, text in texts.items() if re.search(r"hx-(post|put|patch|delete)", text)] == []
    forms = [each for text in texts.values() for each in re.findall(r'method="post" action="([^"]+)"', text)]
    patterns = [re.compile(re.sub(r"\{\{.*?\}\}", "[^/]+", each)) for each in forms]
    paths = [re.sub(r"\{\w+\}", "x", page.path) for page in PAGES if page.method == "POST"]
    assert [path for path in paths if not any(pattern.fullmatch(path) for pattern in patterns)] == []


async def operator(stage: Stage) -> Browser:
    await stage.scene.reset()
    return await stage.system.logged_in(Role.OPS)


async def dead_documents(stage: Stage, number: int) -> list[str]:
    orders = [await stage.scene.shipped() for _ in range(number)]
    for order in orders:
        await stage.scene.job("invoicing", order, DEAD)
    return orders


async def states(stage: Stage, orders: list[str]) -> list[str]:
    sql = "SELECT state FROM jobs WHERE kind = 'invoice-document' AND business_key = ANY($1) ORDER BY state"
    return [row["state"] for row in await stage.scene.owners["invoicing"].fetch(sql, orders)]


GROUP = f"/failures/group?service=invoicing&kind=invoice-document&cause={FULL}"


async def test_chosen_jobs_are_replayed_after_a_dry_run_and_the_rest_is_discarded(stage: Stage) -> None:
    browser = await operator(stage)
    orders = await dead_documents(stage, 3)
    pool = stage.scene.owners["invoicing"]
    chosen = await pool.fetchval("SELECT id FROM jobs WHERE business_key = $1 AND state = 'dead'", orders[0])

    page = await browser.open(GROUP)
    dry = await browser.press(page, "Replay selected", action="replay-chosen", ids=str(chosen))
    assert "Nothing was changed yet. 1 job" in dry.text
    assert await states(stage, orders) == ["dead"] * 3
    shown = await browser.press(dry, "Replay 1", reason="The disk is larger.")
    assert "1 job will be run again." in shown.text
    assert await states(stage, orders) == ["dead", "dead", "ready"]

    dry = await browser.press(await browser.open(GROUP), "Discard all 2", action="discard-all")
    shown = await browser.press(dry, "Discard 2", reason="These were tests.")
    assert "2 jobs discarded." in shown.text
    assert await states(stage, orders) == ["discarded", "discarded", "ready"]


async def test_without_a_chosen_job_nothing_is_done(stage: Stage) -> None:
    browser = await operator(stage)
    [order] = await dead_documents(stage, 1)

    dry = await browser.press(await browser.open(GROUP), "Replay selected", action="replay-chosen")

    assert dry.status == 422
    assert "Select at least one job." in dry.text
    await stage.scene.job("invoicing", order, "state = 'done', finished_at = now()")


async def test_a_pace_that_is_no_number_is_refused_and_not_replaced_by_another_one(stage: Stage) -> None:
    browser = await operator(stage)
    [order] = await dead_documents(stage, 1)
    dry = await browser.press(await browser.open(GROUP), "Replay all 1", action="replay-all")

    for pace in ("fast", "", "1e3"):
        shown = await browser.press(dry, "Replay 1", reason="The disk is larger.", per_second=pace)
        assert (shown.status, shown.title) == (422, "The request was refused")
        assert "per_second" in shown.text

    assert await states(stage, [order]) == ["dead"]
    assert (await browser.press(dry, "Replay 1", reason="It is.", per_second="2.5")).status == 200
    assert await states(stage, [order]) == ["ready"]


@pytest.mark.parametrize("service", ["", "billing"])
async def test_a_service_that_does_not_exist_is_not_replaced_by_orders(stage: Stage, service: str) -> None:
    browser = await operator(stage)
    [order] = await dead_documents(stage, 1)
    page = await browser.open(GROUP)

    shown = await browser.open(f"/failures/group?service={service}&kind=invoice-document")
    assert (shown.status, shown.title) == (404, "Not found")
    for action in ("replay-all", "replay-chosen"):
        shown = await browser.press(page, "Replay all 1", action=action, service=service)
        assert (shown.status, shown.title) == (404, "Not found")
    await stage.scene.job("invoicing", order, "state = 'done', finished_at = now()")


async def test_jobs_that_changed_after_the_dry_run_are_left_alone_and_counted(stage: Stage) -> None:
    browser = await operator(stage)
    orders = await dead_documents(stage, 2)
    dry = await browser.press(await browser.open(GROUP), "Replay all 2", action="replay-all")
    await stage.scene.job("invoicing", orders[0], "state = 'done', finished_at = now()")

    shown = await browser.press(dry, "Replay 2", reason="The disk is larger.")

    assert "1 job will be run again. 1 job was left alone, because it changed after the dry run." in shown.text


async def test_one_job_is_replayed_from_its_page(stage: Stage) -> None:
    browser = await operator(stage)
    [order] = await dead_documents(stage, 1)
    job = await stage.scene.owners["invoicing"].fetchval("SELECT id FROM jobs WHERE business_key = $1", order)

    shown = await browser.press(await browser.open(f"/jobs/invoicing/{job}"), "Replay")

    assert "The job will be run again" in shown.text
    assert await states(stage, [order]) == ["ready"]


async def poison_records(stage: Stage, number: int) -> list[UUID]:
    """Each with an error of its own, of one cause."""
    found = []
    for _ in range(number):
        order = await stage.scene.order("SHIPPED")
        found.append(await stage.scene.refuse_event("invoicing", order, "order.shipped", REFUSED_ROW.format(order)))
    return found


async def kept(stage: Stage) -> int:
    number: int = await stage.scene.owners["invoicing"].fetchval("SELECT count(*) FROM poison WHERE state = 'kept'")
    return number


async def test_poison_records_of_one_cause_are_replayed_after_a_dry_run(stage: Stage) -> None:
    browser = await operator(stage)
    await stage.scene.sql("invoicing", "DELETE FROM poison")
    await poison_records(stage, 3)

    page = await browser.open("/poison?service=invoicing")
    assert CAUSE in page.text
    [button] = [each for each in page.buttons if each.startswith("Replay all of articurated.orders at invoicing")]
    dry = await browser.press(page, button)
    assert "Nothing was changed yet. 3 records of invoicing" in dry.text
    assert await kept(stage) == 3
    shown = await browser.press(dry, "Replay 3")

    assert "Processed: 3." in shown.text
    assert await kept(stage) == 0
    assert await stage.scene.owners["invoicing"].fetchval("SELECT count(*) FROM poison WHERE state = 'replayed'") == 3


async def test_chosen_poison_records_are_replayed_and_those_that_still_fail_are_counted(stage: Stage) -> None:
    browser = await operator(stage)
    await stage.scene.sql("invoicing", "DELETE FROM poison")
    good, _ = await poison_records(stage, 2)
    await stage.scene.poison("invoicing", str(good), "articurated.orders", "ValueError: no event")
    bad = await stage.scene.owners["invoicing"].fetchval("SELECT id FROM poison WHERE error LIKE 'ValueError%'")

    page = await browser.open("/poison?service=invoicing")
    nothing = await browser.press(page, "Replay selected of invoicing")
    assert "Select at least one record." in nothing.text
    dry = await browser.press(page, "Replay selected of invoicing", ids=f"{good} {bad}")
    shown = await browser.press(dry, "Replay 2")

    assert "Processed: 1. Still not processed: 1" in shown.text
    assert await kept(stage) == 2


async def test_a_parked_event_is_replayed_from_its_page(stage: Stage) -> None:
    browser = await operator(stage)
    order = await stage.scene.order("PAID", published=False)
    await stage.scene.park(order)

    position = await stage.scene.owners["orders"].fetchval("SELECT position FROM outbox_parked WHERE key = $1", order)
    links = [link.attributes["href"] for link in (await browser.open("/unsent-events?service=orders")).root.all("a")]
    assert {f"/unsent-events/orders/{position}", f"/orders/{order}"} <= set(links)
    shown = await browser.press(await browser.open(f"/unsent-events/orders/{position}"), "Replay")

    assert "The event will be published" in shown.text
    assert await stage.scene.owners["orders"].fetchval("SELECT count(*) FROM outbox_parked WHERE key = $1", order) == 0


async def test_a_declined_refund_is_settled_by_hand(stage: Stage) -> None:
    browser = await operator(stage)
    order = await stage.scene.refunding("DECLINED", error="the card is closed")
    await stage.scene.job("refunds", order, "state = 'dead', finished_at = now(), last_error = 'Declined: closed'")
    refund = await stage.scene.owners["refunds"].fetchval("SELECT id FROM refunds WHERE order_id = $1", UUID(order))

    page = await browser.open(f"/refunds/{refund}")
    shown = await browser.press(page, "Settle", reference="bank transfer 4712", note="She has changed her bank.")

    assert "settled by hand" in shown.text
