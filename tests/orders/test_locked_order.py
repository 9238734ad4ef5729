"""An order whose row is locked elsewhere does not delay the results of other orders."""

import json
import time
from datetime import UTC, datetime
from typing import Any
from uuid import UUID, uuid4

import asyncpg
import pytest
from common.messaging.envelope import event_headers
from common.messaging.incoming.inbox import Inbox, RecordsLocked
from common.messaging.incoming.poison import PoisonRecord
from orders.app import SERVICE
from orders.consumer import EVENT_HANDLERS
from support.events.traceparent import TRACEPARENT
from support.example.orders import place_in
from support.gateway.application import serve
from support.postgres.databases import MakeDatabase


def refund_record(order: dict[str, Any], offset: int) -> PoisonRecord:
    row = {
        "id": uuid4(),
        "type": "refund.succeeded",
        "aggregateid": str(uuid4()),
        "created_at": datetime.now(UTC),
        "sequence": 1,
        "epoch": 1,
        "key": order["id"],
        "traceparent": TRACEPARENT,
        "causation_id": None,
        "headers": None,
    }
    data = {
        "refund_id": str(uuid4()),
        "order_id": order["id"],
        "cause": "ORDER_CANCELLED",
        "payment_reference": "ch_teacups",
        "status": "SUCCEEDED",
        "transaction_id": f"re_{offset}",
    }
    value, headers = json.dumps(data).encode(), event_headers("refunds", row)
    return PoisonRecord("articurated.refunds", 0, offset, order["id"].encode(), value, headers, 0, "kept")


async def test_a_refund_result_waits_only_for_the_lock_of_its_own_order(make_database: MakeDatabase) -> None:
    database = make_database("orders")
    async with serve(SERVICE, database) as gateway:

        async def refund_status(order: dict[str, Any]) -> str:
            status: str = (await gateway.get(f"/orders/{order['id']}")).json()["refund_status"]
            return status

        locked, *others = [await place_in(gateway, "CANCELLED_AFTER_PAYMENT") for _ in range(3)]
        inbox = Inbox(gateway.pool, "orders", EVENT_HANDLERS)
        owner = await asyncpg.connect(database.owner_dsn)
        try:
            async with owner.transaction():
                await owner.execute("SELECT 1 FROM orders WHERE id = $1 FOR UPDATE", UUID(locked["id"]))
                start = time.monotonic()
                with pytest.raises(RecordsLocked) as raised:
                    await inbox.process([refund_record(order, at) for at, order in enumerate((locked, *others))])
                assert time.monotonic() - start < 9  # one lock timeout, not one per record
                assert [await refund_status(order) for order in (locked, *others)] == [
                    "PENDING", "SUCCEEDED", "SUCCEEDED",
                ]  # fmt: skip
        finally:
            await owner.close()
        await inbox.process(raised.value.records)
        assert await refund_status(locked) == "SUCCEEDED"
        assert await gateway.pool.fetchval("SELECT count(*) FROM poison") == 0
