"""The four services in this process, without workers, relays and Kafka: a test injects what those would have left."""

import asyncio
import json
from collections.abc import AsyncIterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from typing import Any
from uuid import UUID, uuid4

import httpx
import invoicing.app
import orders.app
import refunds.app
import returns.app
from common.database.transactions import Pool, open_pool, transaction
from common.jobs import queue
from common.jobs.job import NewJob
from common.messaging.envelope import full_name
from common.messaging.incoming import poison
from common.messaging.incoming.inbox import Inbox
from invoicing.consumer import event_handlers
from orders.timeline_client import TimelineClient
from support.events.services_without_kafka import ServicesWithoutKafka
from support.events.traceparent import TRACEPARENT
from support.example.invoices import SELLER
from support.example.orders import an_order, created
from support.gateway.application import Gateway, serve
from support.postgres.databases import Databases

SERVICES = {each.SERVICE.name: each.SERVICE for each in (orders.app, returns.app, invoicing.app, refunds.app)}
STATES = ("PAID", "PROCESSING_IN_WAREHOUSE", "SHIPPED", "DELIVERED")
OWN_SETTINGS: Mapping[str, Mapping[str, Any]] = {
    "returns": {"eligibility_wait_seconds": 0.05, "four_eyes_above": "1000"}
}
RETURN_STEPS = (
    ("APPROVED", "approve", {"manager_notes": "cracks are visible"}),
    ("IN_TRANSIT", "state", {"new_state": "IN_TRANSIT"}),
    ("RECEIVED", "state", {"new_state": "RECEIVED"}),
    ("COMPLETED", "state", {"new_state": "COMPLETED"}),
)


class Scene:
    """`owners` are the databases with their owners' logins, who may change what the application may not."""

    def __init__(self, gateways: Mapping[str, Gateway], owners: Mapping[str, Pool]) -> None:
        self.gateways, self.owners = gateways, owners
        self._events = ServicesWithoutKafka(gateways["orders"], gateways["returns"], gateways["refunds"].pool)
        handlers = event_handlers(SELLER)
        self._events.consumers["invoicing"] = Inbox(gateways["invoicing"].pool, "invoicing", handlers)
        self._stand_ins: list[asyncio.Server] = []
        self.connect()

    def connect(self, addresses: Mapping[str, str] = {}, *, seconds: float = 5) -> None:
        """Orders asks the gateways of this process, and waits so long; `addresses` are used in place of some."""
        transports = {f"all://{name}": httpx.ASGITransport(self.gateways[name].app) for name in self.gateways}
        named = {name: f"http://{name}" for name in SERVICES if name != "orders"}
        client = TimelineClient({**named, **addresses}, seconds, transports=transports)
        self.gateways["orders"].app.state.timeline_client = client

    async def replace_service(self, name: str, status: int | None) -> None:
        """By a server that answers each request with this status, or never."""

        async def answer(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            if status is None:
                await reader.read()
            else:
                await reader.readuntil(b"\r\n\r\n")
                head = f"HTTP/1.1 {status} of a test\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"
                writer.write(head.encode())
            writer.close()

        server = await asyncio.start_server(answer, "127.0.0.1")
        self._stand_ins.append(server)
        host, port = server.sockets[0].getsockname()
        self.connect({name: f"http://{host}:{port}"}, seconds=0.5 if status is None else 5)

    async def reset(self) -> None:
        """Relays and consumers run; the consumers were at the end of their topics an hour ago. No worker runs."""
        self.connect()
        await self.close_stand_ins()
        await self.answer_of_gateway("ANSWERED", "no refund")
        for name, pool in self.owners.items():
            await pool.execute("DELETE FROM paused_kinds")
            await pool.execute("DELETE FROM workers")
            await pool.execute("UPDATE jobs SET leased_until = now() - interval '1 hour' WHERE state = 'running'")
            await pool.execute("DELETE FROM poison WHERE kind = 'batch'")
            await pool.execute("DELETE FROM relays")
            await pool.execute("INSERT INTO relays VALUES ('a relay', now() + interval '1 hour')")
            for topic in SERVICES[name].consumes:
                await pool.execute(
                    "INSERT INTO consumer_positions (topic, partition, position, lag, partition_count, caught_up_at,"
                    " reported_at) SELECT $1, n, 0, 0, 12, now() - interval '1 hour', now() + interval '5 minutes'"
                    " FROM generate_series(0, 11) n ON CONFLICT (topic, partition) DO UPDATE SET lag = 0,"
                    " caught_up_at = excluded.caught_up_at, reported_at = excluded.reported_at",
                    topic,
                )

    async def close_stand_ins(self) -> None:
        while self._stand_ins:
            self._stand_ins.pop().close()

    async def explain(self, order: str, key: str = "ops") -> dict[str, Any]:
        response = await self.gateways["orders"].get(f"/orders/{order}/explain", key=key)
        assert response.status_code == 200, response.text
        document: dict[str, Any] = response.json()
        return document

    async def findings(self, order: str) -> dict[str, dict[str, Any]]:
        """Those of the explanation, by their causes."""
        return {each["cause"]: each for each in (await self.explain(order))["findings"]}

    async def sql(self, service: str, statement: str, *arguments: object) -> None:
        await self.owners[service].execute(statement, *arguments)

    async def order(self, state: str = "PENDING_PAYMENT", *, published: bool = True, **changes: Any) -> str:
        """Brought into the state by its transitions; its events are published, and reach no consumer yet."""
        gateway = self.gateways["orders"]
        order_id: str = created(await gateway.post("/orders", an_order(**changes)))["id"]
        for each in STATES[: STATES.index(state) + 1] if state in STATES else ():
            await self.move(order_id, each)
        if published:
            await self.publish(order_id)
        return order_id

    async def move(self, order_id: str, state: str, **more: str) -> httpx.Response:
        body: dict[str, str] = {"new_state": state, **more}
        if state == "PAID":
            body.setdefault("payment_transaction_id", f"pi_{order_id}")
        return await self.gateways["orders"].patch(f"/orders/{order_id}/state", body)

    async def cancelled(self, **changes: Any) -> str:
        """Paid and cancelled, and known to refunds: its refund is due."""
        order_id = await self.order("PAID", published=False, **changes)
        response = await self.gateways["orders"].post(f"/orders/{order_id}/cancel", {"reason": "changed her mind"})
        assert response.status_code == 200, response.text
        await self.publish(order_id)
        await self.deliver(order_id, "returns", "refunds")
        return order_id

    async def shipped(self, **changes: Any) -> str:
        """Known to all services: its invoice is due."""
        order_id = await self.order("SHIPPED", **changes)
        await self.deliver(order_id, "returns", "refunds", "invoicing")
        return order_id

    async def issued(self, order_id: str, *, mail: str = "SENT") -> None:
        await self.sql(
            "invoicing",
            "UPDATE invoices SET status = 'ISSUED', issued_at = now(), document_sha256 = repeat('0', 64),"
            " document_size_bytes = 1, mail_status = $2 WHERE order_id = $1",
            UUID(order_id),
            mail,
        )
        await self.job("invoicing", order_id, "state = 'done', finished_at = now()")
        await self.sql(
            "orders",
            "INSERT INTO order_invoices"
            " VALUES ($1, gen_random_uuid(), 'INV-2026-000001', 'EUR', 79.06, now(), '{}', 1, 1)",
            UUID(order_id),
        )

    async def mail_job(self, order_id: str) -> None:
        async with transaction(self.owners["invoicing"]) as connection:
            await queue.enqueue(connection, NewJob("invoice-mail", order_id, {}, TRACEPARENT))

    async def delivered(self, **changes: Any) -> str:
        """Known to all services, with its invoice."""
        order_id = await self.order("DELIVERED", **changes)
        await self.deliver(order_id, "returns", "refunds", "invoicing")
        await self.issued(order_id)
        return order_id

    async def returned(self, state: str = "REQUESTED", **changes: Any) -> str:
        """A delivered order whose return is in this state; its refund is known to nobody yet."""
        order_id = await self.delivered(**changes)
        gateway = self.gateways["returns"]
        body = {"order_id": order_id, "reason": "One teacup came in two."}
        opened = created(await gateway.post("/returns", body, key="client"))
        for target, route, body in RETURN_STEPS:
            if state == "REQUESTED":
                break
            response = await gateway.patch(f"/returns/{opened['id']}/{route}", body)
            assert response.status_code == 200, response.text
            if target == state:
                break
        await self.publish(order_id)
        return order_id

    async def refunding(self, status: str, **columns: object) -> str:
        """A cancelled order whose refund is in this state."""
        order_id = await self.cancelled()
        values = {"status": status, "attempts": 1, **columns}
        assignments = ", ".join(f"{name} = ${number}" for number, name in enumerate(values, 2))
        await self.sql(
            "refunds",
            f"UPDATE refunds SET called_at = now(), {assignments} WHERE order_id = $1",  # noqa: S608
            UUID(order_id),
            *values.values(),
        )
        return order_id

    async def job(self, service: str, order_id: str, assignments: str) -> None:
        """Change the jobs of the order that are not done: `assignments` of an UPDATE."""
        of_refund = " OR payload->>'refund_id' IN (SELECT id::text FROM refunds WHERE order_id::text = $1)"
        await self.sql(
            service,
            f"UPDATE jobs SET {assignments} WHERE state <> 'done' AND (business_key LIKE '%' || $1 || '%'"  # noqa: S608
            f"{of_refund if service == 'refunds' else ''})",
            order_id,
        )

    async def worker(self, service: str, *kinds: str) -> None:
        """Register a running worker for these kinds of jobs."""
        await self.sql(service, "INSERT INTO workers VALUES ('a worker', $1, now() + interval '1 hour')", list(kinds))

    async def answer_of_gateway(self, outcome: str, answer: str) -> None:
        """To the latest call about any refund."""
        await self.sql(
            "refunds",
            "WITH call AS (INSERT INTO refund_calls (refund_id, kind, attempt, idempotency_key, request_hash)"
            " VALUES (gen_random_uuid(), 'REFUND', 1, 'a key', '') RETURNING position)"
            " INSERT INTO refund_call_answers (call_position, outcome, answer) SELECT position, $1, $2 FROM call",
            outcome,
            answer,
        )

    async def dispute(self, order_id: str, status: str) -> None:
        await self.sql(
            "refunds",
            "INSERT INTO payment_disputes (dispute_id, payment_reference, amount, currency, status)"
            " VALUES ($1, $2, 79.06, 'EUR', $3)",
            f"dp_{order_id}",
            f"pi_{order_id}",
            status,
        )

    async def publish(self, order_id: str) -> None:
        for pool in self.owners.values():
            await pool.execute(
                "DELETE FROM outbox_pending WHERE position IN (SELECT position FROM outbox WHERE key = $1)", order_id
            )

    async def deliver(self, order_id: str, *consumers: str) -> None:
        records = await self._events.events(order_id)
        for name in consumers:
            topics = SERVICES[name].consumes
            await self._events.deliver(name, [each for each in records if each.topic in topics])

    async def park(self, order_id: str) -> None:
        """Kafka rejects the latest event of the order that is pending."""
        await self.sql(
            "orders",
            "WITH taken AS (DELETE FROM outbox_pending p USING outbox o WHERE o.position = p.position"
            " AND p.position = (SELECT max(o.position) FROM outbox o JOIN outbox_pending USING (position)"
            " WHERE o.key = $1) RETURNING p.position, p.lane, o.topic, o.key)"
            " INSERT INTO outbox_parked (position, lane, topic, key, error) SELECT *, 'MessageSizeTooLarge' FROM taken",
            order_id,
        )

    async def waiting_event(self, order_id: str, service: str = "orders", seconds: int = 60) -> None:
        """The last event of the order has waited for so long in the outbox."""
        await self.sql(
            service,
            "UPDATE outbox SET created_at = now() - make_interval(secs => $2) WHERE key = $1",
            order_id,
            seconds,
        )

    async def poison(self, service: str, order_id: str, topic: str, error: str) -> None:
        await self.sql(
            service,
            'INSERT INTO poison (id, topic, partition, "offset", digest, key, headers, record_time, error)'
            " VALUES ($1, $2, 0, 1, $3, $4, '[]', 0, $5)",
            uuid4(),
            topic,
            uuid4().bytes,
            order_id.encode(),
            error,
        )

    async def refuse_event(self, service: str, order_id: str, name: str, error: str) -> UUID:
        """The service has stored this event of the order as a poison record; it processes a replay."""
        named = ("ce_type", full_name(name).encode())
        [record] = [each for each in await self._events.events(order_id) if named in each.headers]
        async with transaction(self.owners[service]) as connection:
            await poison.store(connection, service, record, error)
            found: UUID = await connection.fetchval("SELECT id FROM poison WHERE value = $1", record.value)
        return found

    async def discrepancy(self, service: str, order_id: str, check: str) -> None:
        await self.sql(
            service,
            'INSERT INTO discrepancies (id, "check", subject, key, details) VALUES ($1, $2, $3, $3, $4)',
            uuid4(),
            check,
            order_id,
            json.loads("{}"),
        )


@asynccontextmanager
async def running_scene(databases: Databases) -> AsyncIterator[Scene]:
    async with AsyncExitStack() as stack:
        gateways, owners = dict[str, Gateway](), dict[str, Pool]()
        for name, service in SERVICES.items():
            database = databases.create(name)
            gateways[name] = await stack.enter_async_context(serve(service, database, **OWN_SETTINGS.get(name, {})))
            owners[name] = await open_pool(database.owner_dsn, size=3, application_name="injecting")
            stack.callback(owners[name].terminate)
        scene = Scene(gateways, owners)
        stack.push_async_callback(scene.close_stand_ins)
        await scene.reset()
        yield scene
