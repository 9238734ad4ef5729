"""The objects that examples of the API name, such as `$paid_order`: each is made anew in a running stack."""

from collections.abc import Awaitable, Callable, Mapping
from datetime import UTC, datetime, timedelta
from typing import Any
from urllib.parse import parse_qs, urlsplit
from uuid import uuid4

from common.access import api_keys
from common.database.transactions import Pool, transaction
from common.jobs import endings, queue
from common.jobs.job import NewJob
from common.messaging.envelope import event_headers
from common.messaging.incoming import poison
from common.messaging.outgoing import outbox
from common.messaging.outgoing.outbox import NewEvent
from common.signed_links import SignedLinks
from common.telemetry.trace_context import new_traceparent
from demo import journeys
from demo.client import Shop
from generators.api_examples import examples_of
from orders.events import ORDERS_TOPIC
from support.api_examples.declined_refunds import declined_refund, settle
from support.api_examples.webhooks import signature
from support.example.refund_events import KafkaRecord
from support.kafka.relays import PARK_EVENT

Object = Mapping[str, Any]
# That of gateways of support.gateway.application.
SIGNING_KEY = "a key to sign links with"


class Objects:
    """Makes the objects by HTTP, as people with the right roles would, and the operators' ones in the service's own
    database, because only a failure makes those."""

    def __init__(self, shop: Shop, service: str, database: Pool) -> None:
        self._shop, self._service, self._database = shop, service, database
        self._sealed: dict[str, Object] = {}

    async def make(self, name: str) -> Object:
        """Raises `AttributeError` for a name without a method `_name` here."""
        method: Callable[[], Awaitable[Object]] = getattr(self, f"_{name}")
        return await method()

    async def _pending_order(self) -> Object:
        return await journeys.place(self._shop, examples_of("createOrder")[0].body)

    async def _fresh(self) -> Object:
        """A reference of the shop that no order has."""
        return {"external_id": f"shop-{uuid4().hex}"}

    async def _numbered_order(self) -> Object:
        body = {**examples_of("createOrder")[1].body, **await self._fresh()}
        return await journeys.place(self._shop, body)

    async def _paid_order(self) -> Object:
        order = await self._pending_order()
        return await journeys.pay(self._shop, order["id"], f"pi_{order['order_number']}")

    async def _packed_order(self) -> Object:
        return await journeys.pack(self._shop, (await self._paid_order())["id"])

    async def _shipped_order(self) -> Object:
        return await journeys.ship(self._shop, (await self._packed_order())["id"])

    async def _delivered_order(self) -> Object:
        return await journeys.deliver(self._shop, (await self._shipped_order())["id"])

    async def _invoiced_order(self) -> Object:
        order = await self._shipped_order()
        await journeys.invoice(self._shop, order["id"])
        return order

    async def _invoice(self) -> Object:
        order = await self._invoiced_order()
        page = await self._shop.expect(200, "manager", "GET", f"/invoices?order_id={order['id']}", service="invoicing")
        invoice: Object = page["data"][0]
        return invoice

    async def _invoice_link(self) -> Object:
        order = await self._shipped_order()
        link = urlsplit((await journeys.invoice(self._shop, order["id"]))["download_url"])
        query = {name: values[0] for name, values in parse_qs(link.query).items()}
        return {"id": link.path.split("/")[-2], **query}

    async def _unknown_invoice_link(self) -> Object:
        invoice_id = str(uuid4())
        path = f"/api/v1/invoices/{invoice_id}/document"
        link = SignedLinks(SIGNING_KEY).sign(path, datetime.now(UTC) + timedelta(minutes=5))
        return {"id": invoice_id, **{name: values[0] for name, values in parse_qs(urlsplit(link).query).items()}}

    async def _requested_return(self) -> Object:
        return await journeys.open_return(self._shop, (await self._delivered_order())["id"], "One teacup is cracked.")

    async def _approved_return(self) -> Object:
        opened = await self._requested_return()
        return await journeys.approve(self._shop, opened["id"], "The crack is visible on the photo.")

    async def _received_return(self) -> Object:
        approved = await self._approved_return()
        await journeys.move_return(self._shop, approved["id"], "client", "IN_TRANSIT")
        return await journeys.move_return(self._shop, approved["id"], "warehouse", "RECEIVED")

    async def _completed_return(self) -> Object:
        received = await self._received_return()
        await journeys.move_return(self._shop, received["id"], "warehouse", "COMPLETED")
        return await journeys.refunded(self._shop, f"/returns/{received['id']}", service="returns")

    async def _refund(self) -> Object:
        completed = await self._completed_return()
        page = await self._shop.expect(
            200, "manager", "GET", f"/refunds?return_id={completed['id']}", service="refunds"
        )
        refund: Object = page["data"][0]
        return refund

    async def _declined_refund(self) -> Object:
        return await declined_refund(self._shop, await self._paid_order())

    async def _settled_refund(self) -> Object:
        refund = await self._declined_refund()
        await settle(self._shop, refund)
        return refund

    async def _webhook(self) -> Object:
        return {"signature": signature()}

    async def _booked_payment(self) -> Object:
        """Of a paid order, as soon as the book has it."""
        order = await self._paid_order()
        path, reference = f"/refunds/book?order_id={order['id']}", order["payment_transaction_id"]

        async def is_booked() -> Object | None:
            book = await self._shop.expect(200, "manager", "GET", path, service="refunds")
            return book if book["payments"] else None

        await self._shop.eventually(f"the payment {reference} in the book", is_booked)
        return {"order_id": order["id"], "payment_reference": reference}

    async def _sealed_order(self) -> Object:
        """Sealing takes seconds, so the requests of one operation have the same object."""
        if not self._sealed:
            order = await self._paid_order()
            await self._sealing(f"/orders/{order['id']}/history/proof", "orders")
            self._sealed = {"order": order}
        return self._sealed["order"]

    async def _sealed_return(self) -> Object:
        if not self._sealed:
            opened = await self._approved_return()
            await self._sealing(f"/returns/{opened['id']}/history/proof", "returns")
            self._sealed = {"return": opened}
        return self._sealed["return"]

    async def _sealing(self, path: str, service: str) -> None:
        async def is_sealed() -> Object | None:
            response = await self._shop.as_role("manager", "GET", path, service=service)
            return response.json() if response.status_code == 200 else None

        await self._shop.eventually(f"the proof {path}", is_sealed)

    async def _checkpoint(self) -> Object:
        """The first one of the service's audit log."""

        async def first_size() -> int | None:
            size: int | None = await self._database.fetchval("SELECT min(size) FROM audit_checkpoints")
            return size

        return {"size": await self._shop.eventually(f"a checkpoint of {self._service}", first_size)}

    async def _dead_job(self) -> Object:
        async with transaction(self._database) as connection:
            kind = f"example-{uuid4().hex[:8]}"
            await queue.enqueue(connection, NewJob(kind, "an example", {"order": "1"}, new_traceparent()))
        [job] = await queue.claim(self._database, {kind: 1}, lease=timedelta(seconds=30), worker="an example")
        async with transaction(self._database) as connection:
            await endings.bury(connection, job, "the printer is out of paper")
        return {"id": str(job.id), "kind": kind}

    async def _discarded_job(self) -> Object:
        dead = await self._dead_job()
        body, path = {"reason": "an example"}, f"/ops/jobs/{dead['id']}/discard"
        return await self._shop.expect(200, "ops", "POST", path, body, service=self._service)

    async def _paused_kind(self) -> Object:
        dead = await self._dead_job()
        body, path = {"reason": "an example"}, f"/ops/job-kinds/{dead['kind']}/pause"
        return await self._shop.expect(200, "ops", "POST", path, body, service=self._service)

    async def _poison(self) -> Object:
        event = _event()
        row = {"id": uuid4(), "type": event.type, "aggregateid": "1", "key": event.key, "sequence": 1, "epoch": 1}
        row |= {"created_at": datetime.now(UTC), "traceparent": event.traceparent, "causation_id": "1", "headers": None}
        key = event.key.encode()
        record = KafkaRecord(ORDERS_TOPIC, key, event.data, event_headers(self._service, row))
        async with transaction(self._database) as connection:
            await poison.store(connection, self._service, record, "RuntimeError('an example')")
            return {"id": str(await connection.fetchval("SELECT id FROM poison WHERE key = $1", key))}

    async def _discrepancy(self) -> Object:
        found = uuid4()
        await self._database.execute(
            'INSERT INTO discrepancies (id, "check", subject, details) VALUES ($1, $2, $3, $4)',
            *(found, "book_disagrees", f"payment {found.int % 10**6}", {"problem": "paid back in excess"}),
        )
        return {"id": str(found)}

    async def _acknowledged_discrepancy(self) -> Object:
        found = await self._discrepancy()
        body, path = {"reason": "an example"}, f"/ops/discrepancies/{found['id']}/acknowledge"
        return await self._shop.expect(200, "ops", "POST", path, body, service=self._service)

    async def _replayed_poison(self) -> Object:
        kept = await self._poison()
        await self._shop.expect(200, "ops", "POST", f"/ops/poison/{kept['id']}/replay", service=self._service)
        return kept

    async def _parked_event(self) -> Object:
        event = _event()
        async with transaction(self._database) as connection:
            await outbox.append(connection, event)
            position: int = await connection.fetchval(PARK_EVENT, event.topic, event.key, 1)
        return {"position": position}

    async def _api_key(self) -> Object:
        body = {"name": "an example", "role": "client"}
        key = await self._shop.expect(201, "ops", "POST", "/ops/api-keys", body, service=self._service)
        return {**key, "entity_id": str(api_keys.entity_id(key["prefix"]))}

    async def _revoked_api_key(self) -> Object:
        key = await self._api_key()
        await self._shop.expect(200, "ops", "DELETE", f"/ops/api-keys/{key['prefix']}", service=self._service)
        return key


def _event() -> NewEvent:
    """An event of a type that no consumer handles."""
    return NewEvent("example.made", ORDERS_TOPIC, "example", "1", str(uuid4()), 1, b"{}", new_traceparent())
