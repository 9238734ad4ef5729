"""Ada's return: the copy of her order, and returns in each state."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID, uuid4

from common.database.transactions import Pool, transaction
from common.messaging.envelope import ReceivedEvent
from httpx import Response
from returns.events import OrderView
from returns.repository import orders
from support.events.traceparent import TRACEPARENT
from support.example.ada import CUSTOMER, ORDER_NUMBER, PAYMENT, TOTAL
from support.example.orders import created
from support.gateway.application import Gateway

# For each state, the steps (route, body) from a new return to it.
PATHS: dict[str, tuple[tuple[str, dict[str, str]], ...]] = {
    "REQUESTED": (),
    "APPROVED": (("approve", {"manager_notes": "cracks are visible on the photo"}),),
    "REJECTED": (("reject", {"manager_notes": "used for years", "rejection_reason": "policy_violation"}),),
}
PATHS["IN_TRANSIT"] = (*PATHS["APPROVED"], ("state", {"new_state": "IN_TRANSIT"}))
PATHS["RECEIVED"] = (*PATHS["IN_TRANSIT"], ("state", {"new_state": "RECEIVED"}))
PATHS["COMPLETED"] = (*PATHS["RECEIVED"], ("state", {"new_state": "COMPLETED"}))


def order_view_data(order_id: UUID | None = None, **changes: Any) -> dict[str, Any]:
    """The data of an `order.*` event that returns reads: Ada's order, delivered an hour ago."""
    return {
        "order_id": str(order_id or uuid4()),
        "order_number": ORDER_NUMBER,
        **CUSTOMER,
        "status": "DELIVERED",
        "currency": "EUR",
        "total_amount": TOTAL,
        "captured_amount": TOTAL,
        "payment_reference": PAYMENT,
        "delivered_at": (datetime.now(UTC) - timedelta(hours=1)).isoformat(),
        **changes,
    }


def order_event(
    order_id: str, *, event_type: str = "order.delivered", sequence: int = 5, epoch: int = 1
) -> ReceivedEvent:
    return ReceivedEvent(
        id=str(uuid4()),
        type=event_type,
        source="/articurated/orders",
        subject=order_id,
        key=order_id,
        sequence=sequence,
        epoch=epoch,
        time=datetime.now(UTC),
        traceparent=TRACEPARENT,
        causation_id=None,
        data=b"",
    )


async def deliver_order_event(pool: Pool, order_data: dict[str, Any], **event: Any) -> str:
    """Store the copy of the order as the consumer of returns does, and return the order's id."""
    view = OrderView.model_validate(order_data)
    async with transaction(pool) as connection:
        await orders.save(connection, [(view, order_event(order_data["order_id"], **event))])
    return str(view.order_id)


async def set_caught_up(pool: Pool, caught_up_at: datetime, partitions: int = 12) -> None:
    """Report that the copy has all orders' events up to this time."""
    await pool.execute(
        "INSERT INTO consumer_positions (topic, partition, position, lag, caught_up_at, reported_at)"
        " SELECT 'articurated.orders', number, 0, 0, $1, now() FROM generate_series(0, $2 - 1) AS number"
        " ON CONFLICT (topic, partition) DO UPDATE SET caught_up_at = excluded.caught_up_at",
        caught_up_at,
        partitions,
    )


def a_return(order_id: str, **changes: Any) -> dict[str, Any]:
    """A body for `POST /returns`."""
    return {"order_id": order_id, "reason": "One teacup came in two.", **changes}


async def open_return(gateway: Gateway, order_data: dict[str, Any] | None = None, **changes: Any) -> dict[str, Any]:
    """By a client: who opens a return may not decide about it."""
    order_id = await deliver_order_event(gateway.pool, order_data or order_view_data())
    return created(await gateway.post("/returns", a_return(order_id, **changes), key="client"))


async def open_in(gateway: Gateway, state: str, order_data: dict[str, Any] | None = None) -> dict[str, Any]:
    """A return in this state, brought there by its transitions (see `PATHS`)."""
    current = await open_return(gateway, order_data)
    for route, body in PATHS[state]:
        current = changed(await gateway.patch(f"/returns/{current['id']}/{route}", body))
    return current


def changed(response: Response) -> dict[str, Any]:
    assert response.status_code == 200, response.text
    return_data: dict[str, Any] = response.json()
    return return_data


def refund_result(completed: dict[str, Any], status: str, transaction_id: str | None = None) -> dict[str, Any]:
    """The data of an event about the refund of a completed return."""
    return {
        "refund_id": str(uuid4()),
        "order_id": completed["order_id"],
        "return_id": completed["id"],
        "cause": "RETURN_COMPLETED",
        "status": status,
        "transaction_id": transaction_id,
    }
