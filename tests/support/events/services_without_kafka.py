"""Orders, returns and refunds in this process; tests deliver their events in place of Kafka."""

import itertools
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Any

import orders.app
import orders.consumer
import refunds.consumer
import returns.app
import returns.consumer
from common.database.transactions import Pool, open_pool
from common.messaging.envelope import full_name
from common.messaging.incoming.inbox import Inbox
from support.example.refund_events import KafkaRecord
from support.example.returns import set_caught_up
from support.gateway.application import Gateway, serve
from support.postgres.databases import MakeDatabase


class ServicesWithoutKafka:
    """The gateways of orders and returns, and refunds, each with its own database."""

    def __init__(self, orders_: Gateway, returns_: Gateway, refunds_: Pool) -> None:
        self.orders, self.returns, self.refunds = orders_, returns_, refunds_
        self.consumers = {
            "refunds": Inbox(refunds_, "refunds", refunds.consumer.EVENT_HANDLERS),
            "returns": Inbox(returns_.pool, "returns", returns.consumer.EVENT_HANDLERS),
            "orders": Inbox(orders_.pool, "orders", orders.consumer.EVENT_HANDLERS),
        }
        self._offsets = itertools.count()

    async def events(self, order_id: str) -> list[KafkaRecord]:
        """All events of an order, those of each topic in their sequence."""
        rows: list[Any] = []
        for pool in (self.orders.pool, self.returns.pool, self.refunds):
            rows += await pool.fetch("SELECT * FROM outbox WHERE key = $1 ORDER BY position", order_id)
        return [self._record(row) for row in rows if row["type"] != "job.dead_lettered"]

    async def deliver(self, consumer: str, records: list[KafkaRecord], *, purged_inbox: bool = False) -> None:
        inbox = self.consumers[consumer]
        if purged_inbox:
            pool = {"refunds": self.refunds, "returns": self.returns.pool, "orders": self.orders.pool}[consumer]
            await pool.execute("DELETE FROM inbox")
        if records:
            await inbox.process(records)

    async def poison_count(self) -> int:
        pools = (self.orders.pool, self.returns.pool, self.refunds)
        return sum([await pool.fetchval("SELECT count(*) FROM poison") for pool in pools])

    def _record(self, row: Any) -> KafkaRecord:
        attributes = {
            "ce_specversion": "1.0",
            "ce_id": str(row["id"]),
            "ce_source": f"/articurated/{row['aggregatetype']}s",
            "ce_type": full_name(row["type"]),
            "ce_subject": row["aggregateid"],
            "ce_time": "2026-11-22T12:00:00Z",
            "ce_sequence": str(row["sequence"]),
            "ce_epoch": str(row["epoch"]),
            "traceparent": row["traceparent"],
        }
        return KafkaRecord(
            topic=row["topic"],
            key=row["key"].encode(),
            value=row["payload"],
            headers=[(name, value.encode()) for name, value in attributes.items()],
            offset=next(self._offsets),
        )


@asynccontextmanager
async def services_without_kafka(make_database: MakeDatabase) -> AsyncIterator[ServicesWithoutKafka]:
    async with (
        serve(orders.app.SERVICE, make_database("orders")) as orders_,
        serve(returns.app.SERVICE, make_database("returns")) as returns_,
    ):
        await set_caught_up(returns_.pool, datetime.now(UTC) + timedelta(days=1))
        refunds_ = await open_pool(make_database("refunds").dsn, size=4, application_name="test")
        try:
            yield ServicesWithoutKafka(orders_, returns_, refunds_)
        finally:
            refunds_.terminate()
