"""The naive implementation: FastAPI, SQLAlchemy's ORM, and the event produced to Kafka after the commit.

It writes the same rows as the product, except those of the outbox; an event is lost when the process ends between the
commit and the delivery. API key and Idempotency-Key are dependencies, as in FastAPI's tutorial. It has no rate limit,
metrics or log.
"""

import gc
import hashlib
import json
import os
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime, timedelta
from typing import Annotated, Any, cast
from uuid import UUID, uuid4

from aiokafka import AIOKafkaProducer
from benchmarks.naive_responses import OrderResponse
from benchmarks.naive_tables import Audit, AuditDetails, CountChange, OrderRow, StoredResponse
from common.access import api_keys
from common.audit.actor import Actor
from common.audit.chain import ChainHead
from common.audit.entries import AuditEntry, entry_parameters
from common.messaging.envelope import event_headers
from common.telemetry.trace_context import new_traceparent
from fastapi import Depends, FastAPI, Header, HTTPException, Request, Response
from orders.domain.pricing import taxes_on
from orders.domain.states import ALLOWED_TRANSITIONS, OrderStatus
from orders.events import ORDERS_TOPIC, OrderData
from orders.schemas.requests import OrderStateChange
from sqlalchemy.ext.asyncio import AsyncSession, async_sessionmaker, create_async_engine


@asynccontextmanager
async def lifespan(app: FastAPI) -> AsyncIterator[None]:
    dsn = os.environ["DATABASE_URL"].replace("postgresql://", "postgresql+asyncpg://")
    engine = create_async_engine(dsn, pool_size=10, max_overflow=0)
    app.state.sessions = async_sessionmaker(engine, expire_on_commit=False)
    app.state.key_names = {key: key.partition(".")[0] for key in json.loads(os.environ["API_KEYS"]).values()}
    app.state.producer = AIOKafkaProducer(
        bootstrap_servers=os.environ["KAFKA_BOOTSTRAP"], acks="all", enable_idempotence=True
    )
    await app.state.producer.start()
    gc.collect()
    gc.freeze()
    yield
    await app.state.producer.stop()
    await engine.dispose()


async def caller(request: Request, x_api_key: Annotated[str, Header()]) -> str:
    key_name: str | None = request.app.state.key_names.get(x_api_key)
    if key_name is None:
        raise HTTPException(401)
    return key_name


async def session(request: Request) -> AsyncIterator[AsyncSession]:
    async with request.app.state.sessions() as session:
        yield session


app = FastAPI(lifespan=lifespan)


@app.get("/readyz")
async def ready() -> str:
    return "ready"


@app.patch("/api/v1/orders/{order_id}/state")
async def change_state(
    request: Request,
    order_id: UUID,
    change: OrderStateChange,
    key_name: Annotated[str, Depends(caller)],
    database: Annotated[AsyncSession, Depends(session)],
    idempotency_key: Annotated[str, Header()],
) -> Response:
    actor_id = api_keys.entity_id(key_name)
    scope = hashlib.sha256(f"{actor_id}\n{request.method}\n{request.url.path}".encode()).digest()
    if (stored := await database.get(StoredResponse, (scope, idempotency_key))) is not None:
        return Response(stored.body, stored.status, media_type="application/json")
    order = await database.get(OrderRow, order_id, with_for_update=True)
    if order is None:
        raise HTTPException(404)
    previous, now = OrderStatus(order.status), datetime.now(UTC)
    if change.new_state not in ALLOWED_TRANSITIONS[previous]:
        raise HTTPException(409)
    assert request.client is not None
    actor = Actor(actor_id, key_name, "USER", "API_CALL", new_traceparent(), request.client.host)
    details = {"tracking_number": change.tracking_number, "carrier": change.carrier}
    entry = AuditEntry("ORDER", order.id, previous, change.new_state, "ACCEPTED", actor, now, details)
    audit = entry_parameters(entry, ChainHead(order.audit_position, order.audit_hash))
    order.status, order.shipped_at, order.updated_at = change.new_state, now, now
    order.tracking_number, order.carrier = change.tracking_number, change.carrier
    order.version, order.sequence = order.version + 1, order.sequence + 1
    order.audit_position, order.audit_hash = order.audit_position + 1, cast(bytes, audit["audit_hash"])
    database.add_all([CountChange(status=previous, change=-1), CountChange(status=order.status, change=1)])
    # The database sets `transaction_id` itself.
    columns = [name for name in Audit.__table__.c.keys() if name != "transaction_id"]  # noqa: SIM118
    database.add(Audit(**{name: audit[f"audit_{name}"] for name in columns}))
    database.add(
        AuditDetails(
            audit_id=audit["audit_id"],
            salt=audit["audit_salt"],
            details=audit["audit_details"],
            ip_address=audit["audit_ip_address"],
        )
    )
    body = OrderResponse.model_validate(order.as_response()).model_dump_json().encode()
    database.add(
        StoredResponse(
            scope=scope,
            key=idempotency_key,
            request_hash=hashlib.sha256(await request.body()).digest(),
            status=200,
            headers={"ETag": '"4"'},
            body=body,
            expires_at=now + timedelta(days=1),
        )
    )
    await database.commit()
    await publish(request.app.state.producer, order, actor, "order.shipped")
    return Response(body, media_type="application/json")


async def publish(producer: AIOKafkaProducer, order: OrderRow, actor: Actor, name: str) -> None:
    data = OrderData.model_validate(
        {
            **order.as_event(),
            "taxes": taxes_on(order.priced_lines, order.currency),
            "payment_reference": order.payment_transaction_id,
            "late_payment": None,
        },
        from_attributes=True,
    )
    envelope: dict[str, Any] = {
        "id": uuid4(),
        "type": name,
        "aggregateid": str(order.id),
        "created_at": order.updated_at,
        "sequence": order.sequence,
        "epoch": 1,
        "key": str(order.id),
        "traceparent": actor.traceparent,
        "causation_id": None,
        "headers": None,
    }
    await producer.send_and_wait(
        ORDERS_TOPIC,
        data.model_dump_json().encode(),
        key=str(order.id).encode(),
        headers=event_headers("orders", envelope),
    )


def create() -> FastAPI:
    return app
