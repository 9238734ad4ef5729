"""Final failures of every kind, caused on a running stack by real means, and mended."""

from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from uuid import UUID

import asyncpg
import httpx
from aiokafka.admin import AIOKafkaAdminClient
from aiokafka.admin.config_resource import ConfigResource, ConfigResourceType
from demo import journeys
from demo.client import Shop
from local_stack.postgres import Postgres
from local_stack.stack_json import StackDescription
from support.processes.tls import TLS

_OF_THE_TOPIC_ITSELF = 1
_DEFAULT_BYTES = "1048588"


@dataclass
class Stage:
    shop: Shop
    folder: Path
    _orders: int = field(default=0)

    @property
    def stack(self) -> StackDescription:
        return self.shop.stack

    async def fault(self, sandbox: str, document: dict[str, Any]) -> None:
        url = self.stack["payment_sandbox" if sandbox == "payments" else "mailbox"]["url"]
        async with httpx.AsyncClient(verify=TLS) as client:
            (await client.post(f"{url}/sandbox/faults", json=document)).raise_for_status()

    async def mend(self) -> None:
        async with httpx.AsyncClient(verify=TLS) as client:
            for url in (self.stack["payment_sandbox"]["url"], self.stack["mailbox"]["url"]):
                (await client.delete(f"{url}/sandbox/faults")).raise_for_status()

    async def as_owner(self, service: str, statement: str) -> None:
        port = int(self.stack["databases"][service].rpartition(":")[2].partition("/")[0])
        dsn = Postgres(self.folder / "postgres", port).dsn(service, f"{service}_owner")
        connection = await asyncpg.connect(dsn)
        try:
            await connection.execute(statement)
        finally:
            await connection.close()

    async def limit_records(self, largest: str) -> None:
        """Of the topic of orders; Kafka's call replaces all settings of a topic."""
        admin = AIOKafkaAdminClient(bootstrap_servers=self.stack["kafka"]["bootstrap"])
        await admin.start()
        try:
            topic = ConfigResource(ConfigResourceType.TOPIC, "articurated.orders")
            [answer] = await admin.describe_configs([topic])
            entries = answer.resources[0][-1]
            settings = {name: value for name, value, _, source, *_ in entries if source == _OF_THE_TOPIC_ITSELF}
            settings["max.message.bytes"] = largest
            await admin.alter_configs([ConfigResource(topic.resource_type, topic.name, settings)])
        finally:
            await admin.close()

    async def paid(self, email: str | None = None) -> str:
        self._orders += 1
        order = journeys.example("returned-order")
        if email is not None:
            order["customer_email"] = email
        order_id = str((await journeys.place(self.shop, order))["id"])
        await journeys.pay(self.shop, order_id, f"pi_{order_id}")
        return order_id

    async def shipped(self, email: str | None = None) -> str:
        order_id = await self.paid(email)
        await journeys.pack(self.shop, order_id)
        await journeys.ship(self.shop, order_id)
        return order_id


FAILED_JOBS, POISON, PARKED = "Failed jobs by cause", "Poison records", "Parked events"


@dataclass(frozen=True)
class Failure:
    """`cause` returns the id of the order. On the page of failed work, `link` is below the heading `section`; it begins
    with the service that failed."""

    name: str
    section: str
    link: str
    cause: Callable[[Stage], Awaitable[str]]
    mend: Callable[[Stage], Awaitable[None]]
    is_well: Callable[[Stage, str], Awaitable[bool]]

    @property
    def service(self) -> str:
        return self.link.partition(": ")[0]

    @property
    def job_kind(self) -> str | None:
        """None for a record or an event."""
        return self.link.partition(": ")[2] if self.section == FAILED_JOBS else None

    async def is_final(self, stage: Stage) -> bool:
        """Whether the API shows the failure."""
        path = {POISON: "/ops/poison?state=kept", PARKED: "/ops/outbox?state=parked"}.get(
            self.section, f"/ops/jobs?state=dead&kind={self.job_kind}"
        )
        return bool((await stage.shop.expect(200, "ops", "GET", path, service=self.service))["data"])


async def _declined_refund(stage: Stage) -> str:
    order_id = await stage.paid()
    await stage.fault("payments", {"mode": "decline", "payment": f"pi_{order_id}"})
    await journeys.cancel(stage.shop, order_id, "Found one nearer home.")
    return order_id


async def _refused_mail(stage: Stage) -> str:
    await stage.fault("mailbox", {"mode": "reject", "to": "refused@example.com"})
    return await stage.shipped("refused@example.com")


async def _refused_refund_mail(stage: Stage) -> str:
    await stage.fault("mailbox", {"mode": "reject", "to": "refused-too@example.com"})
    order_id = await stage.paid("refused-too@example.com")
    await journeys.cancel(stage.shop, order_id, "Found one nearer home.")
    return order_id


async def _unwritable_store(stage: Stage) -> str:
    """A file where the folder of the documents should be."""
    _take_away(Path(stage.stack["documents"]))
    return await stage.shipped()


async def _mend_store(stage: Stage) -> None:
    _put_back(Path(stage.stack["documents"]))


def _take_away(folder: Path) -> None:
    folder.rename(folder.with_suffix(".away"))
    folder.write_text("")


def _put_back(folder: Path) -> None:
    folder.unlink()
    folder.with_suffix(".away").rename(folder)


async def _refused_row(stage: Stage) -> str:
    """The consumer of invoicing cannot store an invoice, so its event is poison."""
    await stage.as_owner("invoicing", "ALTER TABLE invoices ADD CONSTRAINT broken CHECK (false) NOT VALID")
    return await stage.shipped()


async def _accept_rows(stage: Stage) -> None:
    await stage.as_owner("invoicing", "ALTER TABLE invoices DROP CONSTRAINT broken")


async def _large_event(stage: Stage) -> str:
    await stage.limit_records("1000")
    return await stage.shipped()


async def _accept_large_events(stage: Stage) -> None:
    await stage.limit_records(_DEFAULT_BYTES)


async def _no_fault(stage: Stage) -> None:
    await stage.mend()


async def _has_invoice(stage: Stage, order_id: str) -> bool:
    return (await stage.shop.as_role("client", "GET", f"/orders/{order_id}/invoice")).status_code == 200


async def _is_refunded(stage: Stage, order_id: str) -> bool:
    order = await stage.shop.expect(200, "ops", "GET", f"/orders/{order_id}")
    return bool(order["refund_status"] == "SUCCEEDED")


def _all_done(service: str, kind: str) -> Callable[[Stage, str], Awaitable[bool]]:
    async def is_well(stage: Stage, _: str) -> bool:
        listed = await stage.shop.expect(200, "ops", "GET", f"/ops/jobs?state=dead&kind={kind}", service=service)
        done = await stage.shop.expect(200, "ops", "GET", f"/ops/jobs?state=done&kind={kind}", service=service)
        return not listed["data"] and bool(done["data"])

    return is_well


_MAILED = _all_done("invoicing", "invoice-mail")
_REFUND_MAILED = _all_done("refunds", "refund-mail")
FAILURES = (
    Failure("refund", FAILED_JOBS, "refunds: refund", _declined_refund, _no_fault, _is_refunded),
    Failure("invoice mail", FAILED_JOBS, "invoicing: invoice-mail", _refused_mail, _no_fault, _MAILED),
    Failure("refund mail", FAILED_JOBS, "refunds: refund-mail", _refused_refund_mail, _no_fault, _REFUND_MAILED),
    Failure(
        "invoice document", FAILED_JOBS, "invoicing: invoice-document", _unwritable_store, _mend_store, _has_invoice
    ),
    Failure("poison record", POISON, "invoicing: 1", _refused_row, _accept_rows, _has_invoice),
    Failure("parked event", PARKED, "orders: 1", _large_event, _accept_large_events, _has_invoice),
)


async def lose_the_copy_of_an_order(stage: Stage) -> str:
    """Returns forgets an order that was delivered: the reconciler finds it, and asks for it."""
    order_id = await stage.shipped()
    await journeys.deliver(stage.shop, order_id)
    connection = await asyncpg.connect(stage.stack["databases"]["returns"])
    try:

        async def has_copy() -> bool | None:
            sql = "SELECT EXISTS (SELECT FROM known_orders WHERE order_id = $1 AND status = 'DELIVERED')"
            return bool(await connection.fetchval(sql, UUID(order_id))) or None

        await stage.shop.eventually("a copy of the order", has_copy)
        await connection.execute("DELETE FROM known_orders WHERE order_id = $1", UUID(order_id))
    finally:
        await connection.close()
    return order_id
