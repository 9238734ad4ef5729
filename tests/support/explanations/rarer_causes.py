"""More causes for which an order is where it is: of work that begins, of money, and of services that do not answer."""

from dataclasses import replace
from datetime import UTC, datetime
from decimal import Decimal
from functools import partial
from uuid import UUID, uuid4

from common.database.transactions import transaction
from common.messaging.kafka.partitioner import partition_of
from refunds.payment_gateway.port import GatewayRefund, GatewayRefundStatus
from refunds.use_cases import booking
from support.example.ada import TEACUPS
from support.example.refunds import EVENT
from support.explanations.causes import LONG_DUE, ORDERS, Case, Make
from support.explanations.scene import Scene

FAILURES_IN_A_ROW = 3
PARTITIONS = 12
DONE = "state = 'done', finished_at = now()"


async def _unpublished(scene: Scene) -> str:
    return await scene.order("PAID", published=False)


async def _published_just_now(scene: Scene) -> str:
    order = await scene.order("SHIPPED")
    await scene.deliver(order, "returns", "refunds")
    return order


async def _no_event(scene: Scene) -> str:
    order = await _published_just_now(scene)
    await scene.sql("orders", "DELETE FROM outbox WHERE key = $1 AND type = 'order.shipped'", order)
    return order


async def _discarded_record(scene: Scene) -> str:
    """The consumer could not process the event of the shipment, and an operator wants no invoice of it."""
    order = await _published_just_now(scene)
    await scene.poison("invoicing", order, ORDERS, "ValueError: total_amount is missing")
    await scene.sql(
        "invoicing",
        "UPDATE poison SET state = 'discarded', discarded_at = now(), discarded_by = 'eve',"
        " discarded_reason = 'a test order' WHERE key = $1",
        order.encode(),
    )
    return order


async def _damaged_batch(scene: Scene) -> str:
    order = await scene.order("PAID")
    await scene.sql(
        "invoicing",
        'INSERT INTO poison (id, kind, topic, partition, "offset", last_offset, digest, headers, record_time, error)'
        " VALUES (gen_random_uuid(), 'batch', $1, $2, 1, 9, '', '[]', 0, 'the checksum is wrong')",
        ORDERS,
        partition_of(order, PARTITIONS),
    )
    return order


async def _others_running(scene: Scene) -> str:
    busy, order = await scene.shipped(), await scene.shipped()
    running = "state = 'running', leased_until = now() + interval '1 minute'"
    await scene.job("invoicing", busy, f"{running}, due_at = now() - interval '6 minutes'")
    await scene.job("invoicing", order, LONG_DUE)
    return order


async def _due_for_long(scene: Scene, kind: str) -> str:
    """While a worker runs that runs jobs of this kind."""
    await scene.worker("invoicing", kind)
    order = await scene.shipped()
    await scene.job("invoicing", order, LONG_DUE)
    return order


async def _without_address(scene: Scene) -> str:
    order = await scene.shipped()
    await scene.issued(order, mail="NO_ADDRESS")
    return order


async def _approved_by_one(scene: Scene) -> str:
    dear = {**TEACUPS, "unit_price": 2000}
    order = await scene.returned(line_items=[dear])
    returns = scene.gateways["returns"]
    [opened] = (await returns.get(f"/returns?order_id={order}")).json()["data"]
    response = await returns.patch(f"/returns/{opened['id']}/approve", {"manager_notes": "cracks"}, key="manager")
    assert response.status_code == 200, response.text
    return order


async def _gateway_fails(scene: Scene) -> str:
    order = await scene.cancelled()
    for _ in range(FAILURES_IN_A_ROW):
        await scene.answer_of_gateway("UNAVAILABLE", "ConnectTimeout")
    return order


async def _disputed(scene: Scene, status: str) -> str:
    order = await scene.order("PAID")
    await scene.deliver(order, "refunds")
    await scene.dispute(order, status)
    return order


async def _held_by_dispute(scene: Scene) -> str:
    order = await scene.refunding("HELD", error="the payment is disputed")
    await scene.dispute(order, "OPENED")
    return order


async def _ended_refund(scene: Scene, status: str, **columns: object) -> str:
    # The documented table masks UUIDs.
    made = {"transaction_id": f"re_{uuid4()}", "completed_at": datetime.now(UTC)}
    order = await scene.refunding(status, **made, **columns)
    await scene.job("refunds", order, DONE)
    await scene.sql("orders", "UPDATE payments SET refund_status = $2 WHERE order_id = $1", UUID(order), status)
    return order


async def _paid_back_twice(scene: Scene) -> str:
    """By hand, in the provider's dashboard."""
    order = await scene.order("PAID")
    await scene.deliver(order, "refunds")
    by_hand = GatewayRefund(
        order, GatewayRefundStatus.SUCCEEDED, None, f"pi_{order}", Decimal("79.06"), "EUR", None, datetime.now(UTC)
    )
    async with transaction(scene.owners["refunds"]) as connection:
        for number in range(2):
            await booking.book_foreign_refund(connection, replace(by_hand, id=f"re_{order}_{number}"), EVENT)
        await connection.execute("DELETE FROM book_disagreements WHERE order_id = $1", UUID(order))
    return order


async def _reported_otherwise(scene: Scene) -> str:
    order = await scene.order("PAID")
    await scene.sql(
        "refunds",
        "INSERT INTO book_disagreements (order_id, reference, kind, booked, reported, source, created_at)"
        " VALUES ($1, $2, 'capture', '79.06 EUR', '97.06 EUR', 'a sweep', now())",
        UUID(order),
        f"pi_{order}",
    )
    return order


async def _not_answering(scene: Scene, service: str, status: int | None) -> str:
    await scene.replace_service(service, status)
    return await scene.order("PAID")


def _of_services() -> list[Case]:
    kinds = (
        ("{} does not answer in time", "service-slow", None),
        ("the database of {} is down", "service-unavailable", 503),
        ("{} does not know the key", "service-refused", 401),
    )
    return [
        Case(name.format(service), partial(_not_answering, service=service, status=status), cause, service, "unknown")
        for service in ("returns", "invoicing", "refunds")
        for name, cause, status in kinds
    ]


def _refunds(name: str, inject: Make, cause: str, state: str) -> Case:
    return Case(name, inject, cause, "refunds", state)


RARER_CASES = (
    Case("the event of the payment is being published", _unpublished, "event-on-its-way", "orders", ""),
    Case("the event of the shipment is being read", _published_just_now, "event-being-read", "invoicing", ""),
    Case("the event of the shipment is not in the outbox", _no_event, "event-missing", "orders", "stuck"),
    Case("the record of the shipment was discarded", _discarded_record, "record-discarded", "invoicing", "stuck"),
    Case("a batch of records is damaged", _damaged_batch, "damaged-batch", "invoicing", "stuck"),
    Case("the job of the document is due", Scene.shipped, "job-due", "invoicing", ""),
    Case("all workers are busy with other documents", _others_running, "workers-busy", "invoicing", ""),
    Case(
        "a worker is up, and does not claim the job of the document",
        partial(_due_for_long, kind="invoice-document"), "job-unclaimed", "invoicing", "stuck",
    ),
    Case(
        "a worker is up that does not know the kind of the job",
        partial(_due_for_long, kind="alert"), "kind-unserved", "invoicing", "stuck",
    ),
    Case("the order has no e-mail address at its invoice", _without_address, "invoice-not-mailed", "invoicing", ""),
    Case(
        "one of two managers has approved the return", _approved_by_one,
        "return-needs-second-approval", "returns", "waiting",
    ),
    _refunds("the payment gateway does not answer", _gateway_fails, "gateway-down", ""),
    _refunds("the customer disputes the payment", partial(_disputed, status="OPENED"), "dispute-open", "waiting"),
    _refunds("the bank has decided for the customer", partial(_disputed, status="LOST"), "dispute-lost", ""),
    _refunds("the refund is held by a dispute", _held_by_dispute, "refund-held-by-dispute", "waiting"),
    _refunds(
        "the provider took the refund back",
        partial(_ended_refund, status="REVERSED", error="the account is closed"), "refund-reversed", "stuck",
    ),
    _refunds(
        "the order has no e-mail address at its refund",
        partial(_ended_refund, status="SUCCEEDED", customer_email=None), "refund-not-mailed", "done",
    ),
    _refunds("the payment was paid back twice", _paid_back_twice, "paid-back-too-much", "stuck"),
    _refunds("the provider reports another amount", _reported_otherwise, "book-disagreement", "waiting"),
    *_of_services(),
)  # fmt: skip
