"""The search for orders, and the page of an order: what a person sees there, and can do."""

import asyncio

import pytest
from common.access.auth import Role
from console.pages.order_steps import STEPS
from orders.domain.states import ALLOWED_TRANSITIONS
from support.console.browser import browser_of, console_of
from support.console.system import System
from support.example.orders import place


def test_the_steps_of_a_state_are_the_transitions_of_the_state_machine() -> None:
    offered = {(state, step.target) for step in STEPS for state in step.from_states}
    allowed = {(str(state), str(target)) for state, targets in ALLOWED_TRANSITIONS.items() for target in targets}
    assert offered == allowed


@pytest.mark.parametrize(
    ("by", "member"), [("order_number", "order_number"), ("customer_email", "customer_email"), ("q", "customer_name")]
)
async def test_an_order_is_found_by(whole_system: System, by: str, member: str) -> None:
    order = await place(whole_system.orders)
    browser = await whole_system.logged_in(Role.WAREHOUSE)

    shown = await browser.press(await browser.open("/orders"), "Search", by=by, text=str(order[member]))

    assert str(order["order_number"]) in (shown.text + shown.title)


async def test_the_number_and_the_id_lead_to_the_order(whole_system: System) -> None:
    order = await place(whole_system.orders)
    browser = await whole_system.logged_in(Role.WAREHOUSE)

    for address in (f"/orders?text={order['id']}", f"/orders/{order['order_number']}"):
        shown = await browser.open(address)
        assert (shown.title, shown.path) == (f"Order {order['order_number']}", f"/orders/{order['id']}")


async def test_a_search_that_the_api_refuses_says_why(whole_system: System) -> None:
    browser = await whole_system.logged_in(Role.WAREHOUSE)

    shown = await browser.open("/orders?by=customer_email&text=nobody")

    assert shown.status == 200
    assert "customer_email" in shown.text


async def test_an_order_is_taken_through_its_states_by_the_roles_that_may(whole_system: System) -> None:
    order = await place(whole_system.orders)
    payments = await whole_system.logged_in(Role.PAYMENTS)
    warehouse = await whole_system.logged_in(Role.WAREHOUSE)

    page = await payments.open(f"/orders/{order['id']}")
    assert page.buttons == ["Report the payment"]
    paid = await payments.press(page, "Report the payment", payment_transaction_id="pi_console")
    assert "Report the payment: done." in paid.text
    assert paid.buttons == []
    page = await warehouse.press(await warehouse.open(f"/orders/{order['id']}"), "Begin in the warehouse")
    page = await warehouse.press(page, "Report as shipped", tracking_number="1Z-console", carrier="UPS")

    assert "1Z-console" in page.text
    assert page.buttons == ["Report as delivered"]
    history = (await whole_system.orders.get(f"/orders/{order['id']}/history")).json()["data"]
    assert [each["new_state"] for each in history] == ["PAID", "PROCESSING_IN_WAREHOUSE", "SHIPPED"]


async def test_the_audit_trail_has_the_address_of_the_person(whole_system: System) -> None:
    order = await place(whole_system.orders)
    manager = await whole_system.logged_in(Role.MANAGER, address="198.51.100.9")

    page = await manager.open(f"/orders/{order['id']}")
    await manager.press(page, "Cancel the order", reason="changed her mind")

    (record,) = (await whole_system.orders.get(f"/orders/{order['id']}/history")).json()["data"]
    assert (record["metadata"]["reason"], record["ip_address"]) == ("changed her mind", "198.51.100.9")


async def test_an_order_that_another_person_changed_meanwhile_is_shown_with_the_refusal(whole_system: System) -> None:
    order = await place(whole_system.orders)
    first, second = await asyncio.gather(*(whole_system.logged_in(Role.MANAGER) for _ in range(2)))
    page = await second.open(f"/orders/{order['id']}")
    await first.press(await first.open(f"/orders/{order['id']}"), "Cancel the order", reason="sold out")

    shown = await second.press(page, "Report the payment", payment_transaction_id="pi_late")

    assert (shown.status, shown.title) == (412, f"Order {order['order_number']}")
    assert "Nothing was changed: somebody else has changed this" in shown.text
    assert (await whole_system.orders.get(f"/orders/{order['id']}")).json()["payments"] == [], "the order was cancelled"


async def test_an_order_that_was_paid_meanwhile_is_not_cancelled(whole_system: System) -> None:
    """Its cancellation would refund the payment, of which the page said nothing."""
    order = await place(whole_system.orders)
    manager = await whole_system.logged_in(Role.MANAGER)
    page = await manager.open(f"/orders/{order['id']}")
    paid = {"new_state": "PAID", "payment_transaction_id": "pi_meanwhile"}
    await whole_system.orders.patch(f"/orders/{order['id']}/state", paid)

    shown = await manager.press(page, "Cancel the order", reason="never paid")

    assert shown.status == 412
    assert (await whole_system.orders.get(f"/orders/{order['id']}")).json()["status"] == "PAID"


async def test_a_form_that_is_sent_twice_acts_once(whole_system: System) -> None:
    order = await place(whole_system.orders)
    browser = await whole_system.logged_in(Role.PAYMENTS)
    page = await browser.open(f"/orders/{order['id']}")

    for _ in range(2):
        shown = await browser.press(page, "Report the payment", payment_transaction_id="pi_twice")
        assert shown.status == 200

    history = (await whole_system.orders.get(f"/orders/{order['id']}/history?include=all")).json()["data"]
    assert [each["new_state"] for each in history] == ["PENDING_PAYMENT", "PAID"]


async def test_an_order_that_does_not_exist_is_a_page_that_says_so(whole_system: System) -> None:
    browser = await whole_system.logged_in(Role.OPS)

    for name in ("00000000-0000-0000-0000-000000000000", "ORD-2026-999999"):
        shown = await browser.open(f"/orders/{name}")
        assert (shown.status, shown.title) == (404, "Not found")


async def test_while_orders_is_down_its_pages_say_so(whole_system: System) -> None:
    """The session is that of another process of the console, with the same key."""
    browser = await whole_system.logged_in(Role.OPS)
    async with console_of() as alone:
        visitor = browser_of(alone)
        visitor.client.cookies.update(browser.client.cookies)
        shown = await visitor.open("/orders")
        overview = await visitor.open("/")

    assert (shown.status, shown.title) == (503, "A service does not answer")
    assert "The service orders cannot be reached." in shown.text
    assert overview.status == 200
    assert "The service refunds cannot be reached." in overview.text
