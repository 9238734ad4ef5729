"""Tasks of operators of the vase service: a dead job, a poison record, a parked event."""

import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import timedelta
from typing import Any
from uuid import UUID, uuid4

import httpx
from common.database.statements import Connection
from common.database.transactions import reading, transaction
from common.jobs import endings, queue
from common.jobs.job import Job, NewJob
from common.messaging.envelope import EventView, event_headers
from common.messaging.incoming import poison
from common.messaging.incoming.records import EventHandler, Handlers, Incoming
from common.messaging.outgoing import outbox
from common.messaging.outgoing.outbox import NewEvent
from common.telemetry.trace_context import new_traceparent
from support.gateway.openapi import DocumentedResponses
from support.gateway.vase_service import VASE_SERVICE, VaseGateway
from support.kafka.relays import PARK_EVENT
from support.postgres.audit_trail import first_broken, history


class VaseBroken(EventView):
    name: str


async def store_broken_vases(connection: Connection, events: Any) -> None:
    for each in events:
        incoming: Incoming[VaseBroken] = each
        if incoming.data.name == "cursed":
            raise RuntimeError("no words")
        await connection.execute("INSERT INTO vases (id, name, price) VALUES ($1, $2, 0)", uuid4(), incoming.data.name)


HANDLERS: Handlers = {"vase.broken": EventHandler(VaseBroken, store_broken_vases)}
SERVICE = replace(VASE_SERVICE, event_handlers=lambda _: HANDLERS)
PAYLOAD = {"order": "1"}


@asynccontextmanager
async def open_checked_client(vase_gateway: VaseGateway, role: str) -> AsyncIterator[httpx.AsyncClient]:
    """A client that checks each response against the OpenAPI document."""
    documented = DocumentedResponses(vase_gateway.app)

    async def check(response: httpx.Response) -> None:
        await response.aread()
        documented.check(response)

    async with vase_gateway.client(role) as client:
        client.event_hooks["response"].append(check)
        yield client


async def a_job(vase_gateway: VaseGateway, business_key: str = "vase-1", kind: str = "glaze") -> UUID:
    async with transaction(vase_gateway.pool) as connection:
        await queue.enqueue(connection, NewJob(kind, business_key, PAYLOAD, new_traceparent()))
        job_id: UUID = await connection.fetchval(
            "SELECT id FROM jobs WHERE kind = $1 AND business_key = $2", kind, business_key
        )
    return job_id


async def claim(vase_gateway: VaseGateway, kind: str = "glaze") -> Job:
    [job] = await queue.claim(vase_gateway.pool, {kind: 1}, lease=timedelta(seconds=9), worker="kiln-1")
    return job


async def a_dead_job(
    vase_gateway: VaseGateway, error: str = "the kiln is cold", *, business_key: str = "vase-1", kind: str = "glaze"
) -> UUID:
    await a_job(vase_gateway, business_key, kind)
    job = await claim(vase_gateway, kind)
    async with transaction(vase_gateway.pool) as connection:
        await endings.bury(connection, job, error)
    return job.id


async def a_retrying_job(vase_gateway: VaseGateway, error: str, *, business_key: str, kind: str = "glaze") -> UUID:
    """Due in an hour."""
    await a_job(vase_gateway, business_key, kind)
    job = await claim(vase_gateway, kind)
    async with transaction(vase_gateway.pool) as connection:
        await endings.retry(connection, job, error, timedelta(hours=1))
    return job.id


async def a_done_job(vase_gateway: VaseGateway, business_key: str, kind: str = "glaze") -> UUID:
    await a_job(vase_gateway, business_key, kind)
    job = await claim(vase_gateway, kind)
    async with transaction(vase_gateway.pool) as connection:
        await endings.complete(connection, job)
    return job.id


async def a_poison_record(vase_gateway: VaseGateway, name: str, error: str = "RuntimeError('once')") -> UUID:
    """Store a poison record: that of an event `vase.broken` with this name."""
    data = json.dumps({"name": name}).encode()
    event = NewEvent("vase.broken", "vases", "vase", name, name, 1, data, new_traceparent())
    async with transaction(vase_gateway.pool) as connection:
        await outbox.append(connection, event)
        row = await connection.fetchrow("SELECT * FROM outbox ORDER BY position DESC LIMIT 1")
        assert row is not None
        record = Record(headers=[(key, value) for key, value in event_headers("workshop", dict(row))], value=event.data)
        await poison.store(connection, "workshop", record, error)
        record_id: UUID = await connection.fetchval("SELECT id FROM poison WHERE value = $1", event.data)
        return record_id


class Record:
    topic, partition, offset, key, timestamp = "vases", 0, 7, b"1", 1_700_000_000_000

    def __init__(self, headers: list[tuple[str, bytes | None]], value: bytes | None) -> None:
        self.headers = headers
        self.value = value


async def a_parked_event(vase_gateway: VaseGateway) -> int:
    async with transaction(vase_gateway.pool) as connection:
        event = NewEvent("vase.made", "vases", "vase", "1", "1", 1, b"{}", new_traceparent())
        await outbox.append(connection, event)
        position: int = await connection.fetchval(PARK_EVENT, "vases", "1", 1)
        return position


async def audit_transitions(
    vase_gateway: VaseGateway, entity_type: str, entity_id: UUID
) -> list[tuple[str | None, str, str]]:
    async with reading(vase_gateway.pool) as connection:
        rows = await history(connection, entity_type, entity_id)
    assert first_broken(rows) is None
    return [(row["previous_state"], row["new_state"], row["actor_id"]) for row in rows]
