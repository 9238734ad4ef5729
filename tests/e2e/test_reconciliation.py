"""A hop between services is lost on purpose: the reconciler names it, repairs it by the normal path, and is silent
about work that is under way."""

from collections.abc import AsyncIterator
from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest_asyncio
from common.database.transactions import Pool
from orders.checks import order_checks
from orders.events import ORDERS_TOPIC
from orders.tables import order_events
from returns.checks import return_checks
from returns.events import RETURNS_TOPIC
from returns.tables import return_events
from support.events.services_without_kafka import ServicesWithoutKafka, services_without_kafka
from support.example.orders import created, place_in
from support.example.refund_events import KafkaRecord
from support.example.returns import PATHS, a_return, changed
from support.postgres.databases import MakeDatabase
from support.reconciliation.rounds import discrepancies, reconcile

NOW, LATER = timedelta(0), timedelta(hours=2)


@pytest_asyncio.fixture
async def services(make_database: MakeDatabase) -> AsyncIterator[ServicesWithoutKafka]:
    async with services_without_kafka(make_database) as running:
        yield running


async def of_types(services: ServicesWithoutKafka, order_id: str, *types: str) -> list[KafkaRecord]:
    records = await services.events(order_id)
    names = {f"com.articurated.{each}.v1".encode() for each in types}
    return [record for record in records if dict(record.headers)["ce_type"] in names]


async def reconcile_orders(pool: Pool, limit: timedelta = NOW) -> list[tuple[str, str]]:
    checks = [check for check in order_checks(LATER, limit) if check.name == "refund_result_missing"]
    return await reconcile(pool, checks, topic=ORDERS_TOPIC, counter=order_events)


async def reconcile_returns(pool: Pool, limit: timedelta = NOW) -> list[tuple[str, str]]:
    checks = [check for check in return_checks("nowhere:9092", limit) if check.name == "refund_result_missing"]
    return await reconcile(pool, checks, topic=RETURNS_TOPIC, counter=return_events)


async def relay(pool: Pool) -> list[str]:
    """Take all pending events, and return their types."""
    rows = await pool.fetch(
        "WITH sent AS (DELETE FROM outbox_pending RETURNING position) "
        "SELECT type FROM outbox JOIN sent USING (position) ORDER BY position"
    )
    return [row["type"] for row in rows]


async def succeed(services: ServicesWithoutKafka, order_id: str) -> None:
    await services.refunds.execute(
        "UPDATE refunds SET status = 'SUCCEEDED', transaction_id = 're_' || id, completed_at = now() "
        "WHERE order_id = $1",
        UUID(order_id),
    )


async def get_order(services: ServicesWithoutKafka, order_id: str) -> dict[str, Any]:
    order: dict[str, Any] = (await services.orders.get(f"/orders/{order_id}")).json()
    return order


async def test_a_lost_result_of_a_refund_is_named_and_asked_for(services: ServicesWithoutKafka) -> None:
    order_id = (await place_in(services.orders, "CANCELLED_AFTER_PAYMENT"))["id"]
    await services.deliver("refunds", await services.events(order_id))
    await succeed(services, order_id)
    assert await reconcile_orders(services.orders.pool, LATER) == []  # refunds may still be working on it

    await relay(services.orders.pool)
    [(_, subject)] = await reconcile_orders(services.orders.pool)

    assert subject.startswith(order_id)
    assert await relay(services.orders.pool) == ["order.cancelled", "reconciliation.discrepancy"]
    [asked] = await of_types(services, order_id, "reconciliation.discrepancy")
    sequences = [dict(each.headers)["ce_sequence"] for each in await services.events(order_id)]
    assert sequences[:4] == [b"1", b"2", b"3", b"4"]
    await services.deliver("refunds", [asked])
    await services.deliver("orders", await of_types(services, order_id, "refund.succeeded"))
    assert (await get_order(services, order_id))["refund_status"] == "SUCCEEDED"
    assert await reconcile_orders(services.orders.pool) == []


async def test_a_lost_cause_of_a_refund_is_published_again(services: ServicesWithoutKafka) -> None:
    order_id = (await place_in(services.orders, "CANCELLED_AFTER_PAYMENT"))["id"]
    await relay(services.orders.pool)  # and refunds never gets it

    assert len(await reconcile_orders(services.orders.pool)) == 1

    [row] = await discrepancies(services.orders.pool)
    assert (row["repairs"], row["repair_error"]) == (1, None)
    assert await relay(services.orders.pool) == ["order.cancelled", "reconciliation.discrepancy"]
    await services.deliver("refunds", await of_types(services, order_id, "order.cancelled"))
    assert await services.refunds.fetchval("SELECT count(*) FROM refunds") == 1


async def test_orders_that_owe_no_refund_are_no_finding(services: ServicesWithoutKafka) -> None:
    for state in ("PENDING_PAYMENT", "PAID", "CANCELLED", "SHIPPED", "DELIVERED"):
        await place_in(services.orders, state)
    unfit = (await place_in(services.orders, "PENDING_PAYMENT"))["id"]
    payment = {"new_state": "PAID", "payment_transaction_id": "pi_unfit", "amount": 1}
    assert (await services.orders.patch(f"/orders/{unfit}/state", payment)).status_code == 409
    cancellation = {"new_state": "CANCELLED", "reason": "changed her mind"}
    assert (await services.orders.patch(f"/orders/{unfit}/state", cancellation)).status_code == 200

    assert await reconcile_orders(services.orders.pool) == []


async def test_a_shipped_order_without_an_invoice_is_named_and_its_event_published_again(
    services: ServicesWithoutKafka,
) -> None:
    order_id = (await place_in(services.orders, "SHIPPED"))["id"]
    await place_in(services.orders, "PROCESSING_IN_WAREHOUSE")
    await relay(services.orders.pool)

    found = await reconcile(services.orders.pool, order_checks(NOW, NOW), topic=ORDERS_TOPIC, counter=order_events)

    assert found == [("invoice_missing", order_id)]
    assert await relay(services.orders.pool) == ["order.shipped", "reconciliation.discrepancy"]
    assert await reconcile(services.orders.pool, order_checks(LATER, LATER)) == []


async def a_completed_return(services: ServicesWithoutKafka) -> dict[str, Any]:
    order_id = (await place_in(services.orders, "DELIVERED"))["id"]
    await services.deliver("returns", await services.events(order_id))
    opened = created(await services.returns.post("/returns", a_return(order_id), key="client"))
    for route, body in PATHS["COMPLETED"]:
        opened = changed(await services.returns.patch(f"/returns/{opened['id']}/{route}", body))
    return opened


async def test_a_return_without_the_result_of_its_refund_is_named_and_gets_it(services: ServicesWithoutKafka) -> None:
    completed = await a_completed_return(services)
    order_id = completed["order_id"]
    await services.deliver("refunds", await of_types(services, order_id, "return.completed"))
    await succeed(services, order_id)
    await relay(services.returns.pool)
    assert await reconcile_returns(services.returns.pool, LATER) == []

    assert await reconcile_returns(services.returns.pool) == [("refund_result_missing", completed["id"])]

    assert await relay(services.returns.pool) == ["return.completed", "reconciliation.discrepancy"]
    await services.deliver("refunds", await of_types(services, order_id, "reconciliation.discrepancy"))
    await services.deliver("returns", await of_types(services, order_id, "refund.succeeded"))
    refunded = (await services.returns.get(f"/returns/{completed['id']}")).json()
    assert refunded["refund_status"] == "SUCCEEDED"
    assert await reconcile_returns(services.returns.pool) == []
